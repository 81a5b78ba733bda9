"""How a model goes on with a text: what its files say of that, and how the next token is chosen."""
