"""Image files, read as hostile input. Importing this does nothing."""
