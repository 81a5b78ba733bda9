"""What the help says, how it is laid out, and that its examples run."""
