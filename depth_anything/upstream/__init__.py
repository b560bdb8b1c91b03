"""Upstream's scripts of Depth Anything V2, with their flags, on compiled programs."""
