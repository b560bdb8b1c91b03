"""Results of a job over stores, in a folder under the names that tools read."""
