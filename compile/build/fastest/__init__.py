"""Precision `auto` on a CPU: the fastest precision within its limits, measured and kept."""
