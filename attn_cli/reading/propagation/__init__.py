"""How the weights of all layers lead from a position back to the tokens of the text."""
