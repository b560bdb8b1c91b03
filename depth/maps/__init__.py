"""Depth maps: what the numbers mean, and how they lie on disk."""
