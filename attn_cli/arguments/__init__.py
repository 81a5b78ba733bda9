"""Parses the command line into options and values, and explains what was mistyped."""
