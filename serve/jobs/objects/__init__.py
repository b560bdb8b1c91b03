"""Images in one store, results in another: what jobs over S3 share. Importing this does nothing."""
