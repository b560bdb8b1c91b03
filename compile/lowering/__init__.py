"""Exact rewrites of the network that NeuronCores need. Importing this does nothing."""
