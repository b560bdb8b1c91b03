"""How fast a network would run on Neuron hardware, and what it would cost: estimates only."""
