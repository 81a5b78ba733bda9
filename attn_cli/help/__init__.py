"""How the help of `attn` and of its commands is written: by topic, in plain text, as wide as the terminal."""
