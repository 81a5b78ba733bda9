"""What may a view know of an answer that is no matrix? Records of numbers, and what they belong to."""
