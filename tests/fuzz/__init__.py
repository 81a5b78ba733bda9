"""Random input with a seed; how many examples run is in the docstring of each module."""
