"""What a model of the bridge writes."""
