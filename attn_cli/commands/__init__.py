"""One module per command, and the code that commands share."""
