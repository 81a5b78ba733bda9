"""The files of a checkpoint: its configuration and its weights."""
