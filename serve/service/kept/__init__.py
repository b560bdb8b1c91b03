"""Jobs that survive a restart: folders that say all of a job, and the thread that works on them."""
