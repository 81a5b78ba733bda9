"""Training a small model of our own: text in, a directory in Hugging Face layout out."""
