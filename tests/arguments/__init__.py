"""How the words of a command line become options, and what is said of mistakes."""
