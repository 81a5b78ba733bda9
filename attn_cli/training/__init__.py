"""Trains a small model on text files and writes it to a directory in Hugging Face layout."""
