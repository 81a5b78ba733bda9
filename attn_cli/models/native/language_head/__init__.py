"""The language head of native models: what families share, where its tensors are, and its logits."""
