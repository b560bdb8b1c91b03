"""Panoramas: views of an equirectangular image, and their depth joined to one map."""
