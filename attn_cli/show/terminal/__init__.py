"""Terminal views of grids and lists: Rich renderables that depend on little more than the console's width."""
