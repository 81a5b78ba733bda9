"""Grids and lists as text on a terminal or in a pipe."""

from attn_cli.show.terminal.printing import columns, map_of, matrix, paragraph, side_by_side

__all__ = ["columns", "map_of", "matrix", "paragraph", "side_by_side"]
