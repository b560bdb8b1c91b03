"""Predicted depth against measured depth: the figures of papers, each with its source."""
