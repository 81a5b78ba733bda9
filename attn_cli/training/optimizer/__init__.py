"""How the weights change: the gradient of a step on several threads, and the Muon optimizer."""
