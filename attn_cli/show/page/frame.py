"""A page as an isolated frame in a notebook: scripts reach no further, and the page's policy holds."""

from html import escape

from attn_cli.safe_text import label

_HEIGHT = 640  # pixels
_STYLE = f"width:100%;height:{_HEIGHT}px;border:1px solid #8884"


def frame_of(page: bytes, title: str, table: str) -> str:
    """The page as HTML for a notebook, and a table for one that takes frames or scripts out of its cells."""
    frame = (
        f'<iframe sandbox="allow-scripts" title="{escape(label(title))}" style="{_STYLE}" '
        f'srcdoc="{_quoted(page.decode())}"></iframe>'
    )
    return f"{frame}<details><summary>{escape(label(title))} as a table</summary>{table}</details>"


def _quoted(page: str) -> str:
    """The page within quotes, in which a parser of HTML looks for nothing else."""
    return page.replace("&", "&amp;").replace('"', "&quot;")
