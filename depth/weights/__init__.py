"""Files of weights: read, downloaded, and which are published."""
