"""Programs as a runtime prepared them for this CPU, kept for the next process."""
