"""The native families: one file each, named after the config's `model_type`."""
