"""Our own transformer over a checkpoint; never imports transformers, and torch only if requested."""
