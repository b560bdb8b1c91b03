"""One command from checkpoint to pushed artifact, each step kept, so that a rerun goes on."""
