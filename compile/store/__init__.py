"""Artifacts in an S3 bucket or a shared folder: push, pull, list, promote. See README.md here."""
