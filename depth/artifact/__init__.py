"""The folder that compile/ writes and serve/ reads."""
