"""The rows of heads as weights of the pieces of a text, head by head or as their mean."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from attn_cli.answers.shaded_text import Piece, ShadedText
from attn_cli.grid import Head
from attn_cli.reading.reading import Reading
from attn_cli.reading.text_weights.pieces import pieces_of
from attn_cli.record import record
from attn_cli.safe_text import label
from attn_cli.vocabulary import Kind, Step

_NAMED = 4  # heads whose names a title has room for


@record(frozen=True, slots=True, eq=False)
class _Rows:
    """The weights of a few queries on all keys: those of a head, or the mean of several."""

    title: str
    queries: Sequence[int]
    weights: npt.NDArray[np.float64]  # (R, S)
    mask: npt.NDArray[np.bool_]  # (R, S)
    sink: npt.NDArray[np.float64] | None  # (R,)
    elsewhere: npt.NDArray[np.float64]  # (R,) what keys take that are not shown
    is_divided: bool = False  # whether the weights are divided by what hidden keys leave


def shaded_texts(
    reading: Reading, heads: Sequence[Head], columns: Collection[int], *, is_mean: bool = False
) -> tuple[ShadedText, ...]:
    """A text for each row of each head, or of their mean; the heads have the weights of all keys.

    `columns` are the keys that are shown; hidden keys are not among them.
    """
    pieces = pieces_of(replace(reading.key_side, tokens=reading.keys))
    of_queries = replace(reading.query_side, tokens=reading.queries)
    query_text = pieces_of(of_queries) if reading.kind is Kind.CROSS else ()
    of_heads = [_rows_of(head, columns) for head in heads]
    rows = [_mean(reading, heads, of_heads)] if is_mean else of_heads
    return tuple(text for part in rows for text in _texts(reading, part, columns, pieces, query_text))


def _rows_of(head: Head, columns: Collection[int]) -> _Rows:
    weights = np.asarray(head.steps[Step.WEIGHTS], dtype=np.float64)
    mask = np.ones(weights.shape, dtype=bool) if head.mask is None else head.mask
    sink = None if head.sink is None else np.asarray(head.sink.weight, dtype=np.float64)
    is_divided = head.hidden is not None and head.hidden.is_renormalized
    title = f"weights {head.name}"
    return _Rows(title, head.queries, weights, mask, sink, _elsewhere(head, weights, columns), is_divided)


def _elsewhere(
    head: Head, weights: npt.NDArray[np.float64], columns: Collection[int]
) -> npt.NDArray[np.float64]:
    """(R,) what the keys take that are not shown: hidden keys, and others that are not chosen."""
    is_other = np.ones(weights.shape[1], dtype=bool)
    is_other[list(columns)] = False
    if head.hidden is None:
        return np.asarray(weights[:, is_other].sum(axis=1))
    is_other[list(head.hidden.keys)] = False
    others = weights[:, is_other].sum(axis=1)
    return np.asarray(head.hidden.weight + others * (head.hidden.left if head.hidden.is_renormalized else 1))


def _mean(reading: Reading, heads: Sequence[Head], rows: Sequence[_Rows]) -> _Rows:
    """The mean over the heads; a key is masked if it is so in all of them, and no sink takes 0."""
    weights = np.mean([part.weights for part in rows], axis=0)
    mask = np.any([part.mask for part in rows], axis=0)
    sinks = [np.zeros(len(part.queries)) if part.sink is None else part.sink for part in rows]
    has_sink = any(part.sink is not None for part in rows)
    sink = np.mean(sinks, axis=0) if has_sink else None
    elsewhere = np.mean([part.elsewhere for part in rows], axis=0)
    title = _mean_title(reading, heads)
    return _Rows(title, rows[0].queries, weights, mask, sink, elsewhere, rows[0].is_divided)


def _mean_title(reading: Reading, heads: Sequence[Head]) -> str:
    """Which heads are averaged: their names if they are few, or all of a layer or of the model."""
    count, extent = len(heads), reading.extent
    if count <= _NAMED:
        return f"mean weights of {', '.join(head.name for head in heads)}"
    layers = sorted({head.layer for head in heads})
    if count == len(extent.layers) * extent.heads:
        return f"mean weights of all {count:,} heads"
    if len(layers) == 1 and count == extent.heads:
        return f"mean weights of the {count} heads of layer {layers[0]}"
    return f"mean weights of {count:,} heads"


def _texts(
    reading: Reading,
    rows: _Rows,
    columns: Collection[int],
    pieces: tuple[Piece, ...],
    query_text: tuple[Piece, ...],
) -> Iterator[ShadedText]:
    """The text once for each row."""
    of_tokens = {token: number for number, piece in enumerate(pieces) for token in piece.tokens}
    owners = np.asarray([of_tokens[key.position] for key in reading.keys])
    is_shown = np.zeros(len(reading.keys), dtype=bool)
    is_shown[list(columns)] = True
    shown = _any_of(pieces, owners[is_shown])
    for number, query in enumerate(rows.queries):
        position = reading.queries[query].position
        weights, mask = rows.weights[number], rows.mask[number]
        of_shown = np.bincount(owners[is_shown], weights=weights[is_shown], minlength=len(pieces))
        yield ShadedText(
            title=rows.title,
            query=f"{position} {label(_text_at(position, query_text or pieces))}",
            query_token=position,
            pieces=pieces,
            weights=np.asarray(of_shown, dtype=np.float64),
            shown=shown,
            masked=shown & ~_any_of(pieces, owners[is_shown & mask]),
            query_text=query_text,
            sink=None if rows.sink is None else float(rows.sink[number]),
            elsewhere=None if is_shown.all() else float(rows.elsewhere[number]),
            is_divided=rows.is_divided,
            masked_tokens=int((~mask).sum()),
            are_words=reading.words is not None,
        )


def _text_at(position: int, pieces: Sequence[Piece]) -> str:
    """The text of the piece that a token belongs to."""
    return next(piece.text for piece in pieces if position in piece.tokens)


def _any_of(pieces: Sequence[Piece], owners: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(P,) whether each piece is among the owners."""
    return np.bincount(owners, minlength=len(pieces)).astype(bool)
