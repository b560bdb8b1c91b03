"""What both Neuron targets share: host checks, the compile run, its logs, its cache, its fallbacks.

The SDK packages themselves are known to one module for each target: compile/neuron/inf1.py and
compile/neuron/inf2.py.
"""
