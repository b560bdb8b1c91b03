"""Batch jobs: uploads that are worked on one at a time, and results that survive a restart."""
