"""From a name to the operands of attention; transformers and torch are imported only where needed."""
