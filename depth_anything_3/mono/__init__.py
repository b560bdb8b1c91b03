"""The models of one view: depth and sky."""
