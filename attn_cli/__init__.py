"""Shows what attention computes, number by number."""

TYPE_CHECKING = False  # typing's own costs an import, before Ctrl-C is answered
if TYPE_CHECKING:
    from attn_cli.api.model import open_model
    from attn_cli.core.masks import both, causal, padding, sliding
    from attn_cli.core.multihead import Attention, Linear, MultiHeadAttention, fused
    from attn_cli.core.positions import Rotary
    from attn_cli.core.torch_module import MultiHeadAttentionModule as MultiHeadAttentionModule
    from attn_cli.errors import AttnError
    from attn_cli.vocabulary import Step

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022  in the order in which a reader needs them; the torch module is left to be named
    "open_model",
    "MultiHeadAttention",
    "Linear",
    "fused",
    "Rotary",
    "Attention",
    "Step",
    "causal",
    "sliding",
    "padding",
    "both",
    "AttnError",
]

_HOMES = {
    "Attention": "core.multihead",
    "AttnError": "errors",
    "Linear": "core.multihead",
    "MultiHeadAttention": "core.multihead",
    "MultiHeadAttentionModule": "core.torch_module",
    "Rotary": "core.positions",
    "Step": "vocabulary",
    "both": "core.masks",
    "causal": "core.masks",
    "fused": "core.multihead",
    "open_model": "api.model",
    "padding": "core.masks",
    "sliding": "core.masks",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: `attn --help` needs neither NumPy nor torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'attn_cli' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(f"attn_cli.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
