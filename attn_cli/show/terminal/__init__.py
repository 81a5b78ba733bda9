"""Views of grids and lists for a terminal or a pipe: renderables of Rich that ask it for nothing but room."""
