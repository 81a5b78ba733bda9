"""The gradient of a step, and the optimizer."""
