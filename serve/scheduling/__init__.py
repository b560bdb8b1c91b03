"""Requests of many callers on the cores of one process; README.md has the map of the modules."""
