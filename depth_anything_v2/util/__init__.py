"""Upstream's helpers under their import paths. Importing this does nothing."""
