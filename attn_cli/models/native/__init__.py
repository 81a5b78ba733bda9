"""Our own transformer over a checkpoint. No transformers here, and no torch unless asked for."""
