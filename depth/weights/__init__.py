"""Files of weights: read, downloaded, and the table of published files."""
