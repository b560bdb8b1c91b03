"""The folder that compile/ writes and serve/ reads. Importing this does nothing."""
