"""The library: the models, readings and heads of the command line, from Python and in a notebook."""
