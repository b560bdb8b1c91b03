"""Depth as other tools read it: a preset names a tool, and says container, unit and file names."""
