"""The first hour on real hardware: everything that nobody has measured, tried in one go."""
