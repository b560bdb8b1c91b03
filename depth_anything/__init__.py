"""The front door of the installed product: every command. It alone joins compile and serve."""
