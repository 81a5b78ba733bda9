"""What may a tokenizer or a template do? They are programs that come with a checkpoint."""
