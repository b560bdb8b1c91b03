"""Can this machine serve? What there is, what goes wrong together, and the fix."""
