"""The help of `attn` and of its commands: options by topic, in plain text, as wide as the terminal."""
