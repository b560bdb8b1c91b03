"""Depth Anything 3 (Lin et al., 2025): the models and their network."""
