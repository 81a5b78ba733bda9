"""One file per command, and what the commands share."""
