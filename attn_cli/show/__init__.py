"""Views of a `Grid` or a `Head`: terminal, picture, data files."""
