"""The front door of the installed product: every command. It alone joins compile and serve."""

__version__ = "0.1.0"
