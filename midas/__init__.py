"""MiDaS (Ranftl et al.): what its models are, and what their numbers mean. Importing does nothing."""
