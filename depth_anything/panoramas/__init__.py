"""`python main.py panorama`, and `PanoramaPipeline` from Python: depth of equirectangular images."""
