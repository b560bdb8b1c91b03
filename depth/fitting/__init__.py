"""Depth of a network, moved onto measured depth: points, sensors, COLMAP models."""
