"""Shows how much of each token reaches a position through all layers."""
