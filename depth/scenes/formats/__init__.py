"""The formats of a scene. Each module says which files it makes, and makes them."""
