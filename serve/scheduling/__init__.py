"""The parts of the scheduler. All but `core` are free of threads and clocks."""
