"""Llama and decoders with its layout: RMSNorm, RoPE, gated feed-forward blocks."""
