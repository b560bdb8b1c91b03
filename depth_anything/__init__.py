"""All commands of the product. This package alone joins compile and serve."""

__version__ = "0.1.0"
