"""Artifacts in a shared folder or in S3: pushed, pulled, listed, promoted."""
