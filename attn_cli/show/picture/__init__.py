"""Grids as pictures; matplotlib is imported when one is drawn."""

from attn_cli.show.picture.drawing import SUFFIXES, check_colours, page, render

__all__ = ["SUFFIXES", "check_colours", "page", "render"]
