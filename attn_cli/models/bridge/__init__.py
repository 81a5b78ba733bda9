"""Hugging Face's own model, watched while it runs, and as the reference for our numbers."""
