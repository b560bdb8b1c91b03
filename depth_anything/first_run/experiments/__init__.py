"""What the first run tries and no command of the project does. Each module is run by itself."""
