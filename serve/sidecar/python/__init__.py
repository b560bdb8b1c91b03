"""The Python client of a worker: this folder and `frames.py`, with numpy alone."""
