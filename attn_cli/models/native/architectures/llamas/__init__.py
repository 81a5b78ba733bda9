"""Llama and the decoders with its layout: RMS norms, rotary positions, gated feed-forward."""
