"""transformers' own models: observed while they run, and as the reference for our numbers."""
