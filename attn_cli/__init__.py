"""Shows what attention computes, number by number."""
