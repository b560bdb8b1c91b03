"""Depth of panoramas: `python main.py panorama`, and `PanoramaPipeline` from Python."""
