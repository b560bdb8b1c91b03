"""Masks of a folder of images, for photogrammetry."""
