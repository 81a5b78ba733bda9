"""Opens the position bias of one pair of tokens: a slope and a position, a bucket, or DeBERTa's two terms."""

from attn_cli.answers.weight import BiasTerms
from attn_cli.core.arrays import Array, positions, to_numpy
from attn_cli.core.multihead import Attention
from attn_cli.core.positions import Alibi, DisentangledBias, RelativeBias


def open_bias(attention: Attention, head: int, query: int, key: int) -> BiasTerms | None:
    """What the bias of the pair is made of; None if the layer adds none, or one that does not say.

    `attention` has all its queries.
    """
    bias, like = attention.operands.bias, attention.operands.keys
    row, column = _place(query, like), _place(key, like)
    if isinstance(bias, Alibi):
        return BiasTerms(slope=bias.slope(head))
    if isinstance(bias, RelativeBias):
        return BiasTerms(bucket=int(bias.buckets.of(row, column)[0, 0]), buckets=bias.buckets.count)
    if isinstance(bias, DisentangledBias):
        content, position = (
            None if term is None else float(to_numpy(term)[head, 0, 0]) for term in bias.terms(row, column)
        )
        distance = int(bias.embeddings.distances.of(row, column)[0, 0])
        return BiasTerms(
            bucket=distance,
            buckets=2 * bias.embeddings.distances.span,
            content_to_position=content,
            position_to_content=position,
            scale=bias.embeddings.scale,
        )
    return None


def _place(position: int, like: Array) -> Array:
    """(1, 1) a position on the device of `like`."""
    return positions(position + 1, like)[position:][None, :]
