"""Words in place of tokens: which tokens form a word, and layers whose queries and keys are words."""
