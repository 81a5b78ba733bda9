"""How graphs of attention are asked for and written, and what is read off them: rollout and flow."""
