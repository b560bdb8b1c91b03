"""Depth Anything 3's models of any number of views: depth, confidence and cameras in one space."""
