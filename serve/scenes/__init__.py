"""Scenes of several images: how an artifact of any number of views answers."""
