"""Depth Anything V2: what the model is, and what its numbers mean. Importing this does nothing."""
