"""The blocks that the families' networks are made of. Needs torch."""
