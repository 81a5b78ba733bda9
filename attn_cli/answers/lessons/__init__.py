"""What does each lesson show? Its numbers."""
