"""How long may a text be, and how are the tokens of a long one listed?"""
