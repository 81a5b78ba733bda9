"""Terminal views of grids and lists: Rich renderables that ask the console for its width and little else."""
