"""Depth of equirectangular panoramas through the programs of ordinary images."""
