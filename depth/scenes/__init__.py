"""A scene becomes files: several views with depth and cameras in one space."""
