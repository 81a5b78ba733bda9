"""Encoders with a decoder that looks at them."""
