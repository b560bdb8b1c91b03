"""The folder job: images in, depth files out. Importing this does nothing."""
