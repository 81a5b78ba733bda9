"""The arithmetic of attention, and measurements of it, independent of models and files."""
