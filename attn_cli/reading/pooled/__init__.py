"""Steps of long texts, pooled over blocks."""
