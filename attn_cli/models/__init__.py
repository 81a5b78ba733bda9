"""Loads models and computes the operands of attention; imports transformers and torch only when needed."""
