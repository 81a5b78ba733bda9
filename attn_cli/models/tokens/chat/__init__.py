"""Chat templates: messages as the text that a model reads."""
