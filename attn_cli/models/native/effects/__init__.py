"""What heads do to a prediction: parts that add up to its logits, and runs with heads switched off."""
