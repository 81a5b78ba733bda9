"""Grids and lists as text on a terminal or in a pipe."""

from attn_cli.show.terminal.matrices import columns, map_of, matrix, paragraph, side_by_side
from attn_cli.show.terminal.table import pooled_columns

__all__ = ["columns", "map_of", "matrix", "paragraph", "pooled_columns", "side_by_side"]
