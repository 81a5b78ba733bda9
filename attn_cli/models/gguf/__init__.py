"""Checkpoints in a GGUF file."""
