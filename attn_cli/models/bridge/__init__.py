"""Hugging Face's own model, watched while it runs, and as the judge of our numbers."""
