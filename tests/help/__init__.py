"""The help: content, layout, and examples that run."""
