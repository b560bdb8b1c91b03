"""MiDaS: what its models are, and what their numbers mean. Importing this does nothing."""
