"""Scenes behind HTTP: tasks that make them, and a gallery that shows them."""
