"""How a network becomes a verified artifact. Importing this does nothing."""
