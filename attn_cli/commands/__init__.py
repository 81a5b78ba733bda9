"""One file a command, thin: ask the pipeline, hand to a view."""
