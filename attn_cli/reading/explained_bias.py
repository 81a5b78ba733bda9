"""Opens the position bias of one pair of tokens: a slope and a position, a bucket, or DeBERTa's two terms."""

from attn_cli.core.multihead import Attention, MultiHeadAttention
from attn_cli.record import record


@record(frozen=True, slots=True)
class BiasTerms:
    """What the bias of one pair is made of; only the fields of its kind are set."""

    slope: float | None = None  # ALiBi: slope × position of the key
    bucket: int | None = None  # T5, MPNet: the row of the learned table
    buckets: int | None = None  # rows of the table
    content_to_position: float | None = None  # DeBERTa
    position_to_content: float | None = None


def open_bias(
    layer: MultiHeadAttention, attention: Attention, head: int, query: int, key: int
) -> BiasTerms | None:
    """What the bias of the pair is made of; None if the layer adds none, or not one that is known."""
    return None
