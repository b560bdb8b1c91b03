"""Checkpoint in, verified artifact out. Importing this does nothing."""
