"""Shows what attention computes, number by number."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attn_cli.core.module import MultiHeadAttention
    from attn_cli.core.shell import MultiHeadAttentionModule

__version__ = "0.1.0"

__all__ = ["MultiHeadAttention", "MultiHeadAttentionModule"]

_HOMES = {"MultiHeadAttention": "module", "MultiHeadAttentionModule": "shell"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `attn --help` needs neither NumPy nor torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'attn_cli' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(f"attn_cli.core.{_HOMES[name]}"), name)
