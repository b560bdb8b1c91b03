"""Folders of frames and videos become depth that does not flicker."""
