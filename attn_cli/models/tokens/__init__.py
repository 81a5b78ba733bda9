"""Text as a model's tokens."""
