"""Opens the position bias of one pair of tokens: a slope and a position, a bucket, or DeBERTa's two terms."""

from attn_cli.answers.weight import BiasTerms
from attn_cli.core.multihead import Attention, MultiHeadAttention


def open_bias(
    layer: MultiHeadAttention, attention: Attention, head: int, query: int, key: int
) -> BiasTerms | None:
    """What the bias of the pair is made of; None if the layer adds none, or not one that is known."""
    return None
