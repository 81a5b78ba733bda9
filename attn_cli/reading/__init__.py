"""Turns a text, a model and a selection into what is shown."""
