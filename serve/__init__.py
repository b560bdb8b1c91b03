"""How an artifact answers: runtimes, engine, front ends. Importing this does nothing."""
