"""All heads of a text for one page: what is kept of them, layer by layer."""
