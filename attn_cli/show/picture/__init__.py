"""Draws grids as pictures; matplotlib is imported only when one is drawn."""

from attn_cli.show.picture.drawing import check_canvas, page, render

__all__ = ["check_canvas", "page", "render"]
