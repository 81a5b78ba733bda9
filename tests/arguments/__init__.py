"""Parsing of the command line, and its errors."""
