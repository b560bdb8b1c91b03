"""Would the target's compiler take this graph, and would the device hold it? Asked on a CPU."""
