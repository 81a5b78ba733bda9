"""From a name to the operands of attention. No transformers here, and no torch unless asked for."""
