"""Precision int8: calibration images, layers kept in float, and NNCF."""
