"""Models that COLMAP wrote, read as hostile input, and their images without distortion."""
