"""How does a message become the text that a chat model reads?"""
