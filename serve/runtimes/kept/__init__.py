"""Programs as a runtime prepared them for this CPU, kept in the user's cache for the next process."""
