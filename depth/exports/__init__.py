"""A result becomes a file of another kind: points, or a surface."""
