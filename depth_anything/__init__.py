"""The front door of the installed product."""
