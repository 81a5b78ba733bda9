"""Where a model's name leads: a directory, the local cache, the hub."""
