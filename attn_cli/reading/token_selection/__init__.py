"""Which tokens `--rows`, `--columns` and `--query` select: positions, special tokens, words of the text."""
