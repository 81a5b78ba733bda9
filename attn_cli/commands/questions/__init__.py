"""What `attn effects` is asked: about which prediction, without which heads, for a graph or for rollout."""
