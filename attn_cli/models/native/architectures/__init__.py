"""The families that are written out: one file each, named after the config's `model_type`."""
