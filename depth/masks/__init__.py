"""Masks for photogrammetry: which pixels of an image count, as files that each program reads."""
