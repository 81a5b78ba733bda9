"""The arithmetic of attention, and measurements of it. It knows no models and no files."""
