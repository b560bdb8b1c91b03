"""The S3 job: images of a bucket in, results into a bucket. Importing this does nothing."""
