"""How much of a text fits on a page: every weight, or blocks of them; estimated before a layer runs."""

from collections.abc import Sequence
from math import isqrt

from attn_cli.errors import AttnError
from attn_cli.reading.reading import Reading
from attn_cli.reading.report.whole_rows import NO_ROWS, RowChoice
from attn_cli.reading.selection import Place
from attn_cli.record import record

MOST_TOKENS = 20_000
"""Tokens of a text on a page: each is an element that the browser lays out."""

MOST_BYTES = 64 << 20
"""Of a page. What is larger opens slowly, and neither mail nor a repository takes it."""

MOST_CELLS = 512
"""Along each side of a head whose weights are pooled: about the pixels that it is drawn on."""

_WHOLE = 1 << 20  # weights of a head that are kept whole: 1,024 × 1,024, as elsewhere
_BYTES = {8: 0.25, 12: 0.8}  # of a weight that a query may look at; measured from 400 tokens on: 0.12, 0.6
_MOST_UNASKED = 32_000  # bytes of the steps of a head that nobody chose
_EXACT = 5  # of a number that is kept as float32
_PAIRS = 4  # matrices of a head with all steps: scores, bias, logits, weights
_VECTORS = 4  # queries, keys, values and context


@record(frozen=True, slots=True)
class PageExtent:
    """Along how many cells each side of a head is kept; None: all queries and keys."""

    most: int | None

    @classmethod
    def of(
        cls, readings: Sequence[Reading], bits: int, exact: Sequence[Place], rows: RowChoice = NO_ROWS
    ) -> "PageExtent":
        """What fits, of these kinds of attention together, with whole rows and all steps of `exact` heads.

        If weights are pooled, only the whole rows of exact heads are kept.

        Raises:
            AttnError: the text has too many tokens, or too many heads or rows are exact.
        """
        longest = max(max(len(reading.queries), len(reading.keys)) for reading in readings)
        _check_length(longest)
        room = MOST_BYTES - rows.size(readings[0], MOST_BYTES)
        is_small = all(len(reading.queries) * len(reading.keys) <= _WHOLE for reading in readings)
        of_steps = 0 if rows.queries and not is_small else _check_exact(readings[0], exact)
        if is_small and sum(map(_visible, readings)) * _BYTES[bits] + of_steps <= room:
            return cls(None)
        if exact and not rows.queries:
            heads = "1 head" if len(exact) == 1 else f"{len(exact)} heads"
            problem = f"--heads keeps all steps of {heads}, but this text of {longest:,} tokens"
            raise AttnError(
                f"{problem} is too long for that", "add --rows for whole rows of them, or leave out --heads"
            )
        count = sum(len(reading.extent.layers) * reading.extent.heads for reading in readings)
        return cls(min(MOST_CELLS, isqrt(max(1, int(room / _BYTES[bits] / count)))))

    def begins_exact(self, reading: Reading) -> bool:
        """Whether the head to begin with is kept in full precision though nobody chose it: it is small."""
        card, longest = reading.source.card, max(len(reading.queries), len(reading.keys))
        pairs = _visible_cells(reading)
        numbers = 2 * pairs + 2 * longest * card.head_size  # scores and weights, queries and keys
        return self.most is None and numbers * _EXACT <= _MOST_UNASKED


def _check_length(longest: int) -> None:
    if longest > MOST_TOKENS:
        problem = f"the text is too long for a page: {longest:,} tokens, and a page holds {MOST_TOKENS:,}"
        raise AttnError(problem, "a part of the text; attn heads and attn heatmap take texts of any length")


def _check_exact(reading: Reading, exact: Sequence[Place]) -> float:
    """Estimate the bytes of the exact heads.

    Raises:
        AttnError: they are more than a page holds.
    """
    queries, keys = len(reading.queries), len(reading.keys)
    numbers = _PAIRS * queries * keys + _VECTORS * max(queries, keys) * reading.source.card.head_size
    size = len(exact) * numbers * _EXACT
    if size > MOST_BYTES:
        most = int(MOST_BYTES / numbers / _EXACT)
        problem = f"all steps of {len(exact)} heads are about {size / 1e6:,.0f} MB, and a page holds "
        problem += f"{MOST_BYTES / 1e6:,.0f} MB"
        raise AttnError(problem, f"--heads with at most {most} heads" if most else "leave out --heads")
    return size


def _visible(reading: Reading) -> float:
    """About how many weights all heads have where queries may look."""
    return _visible_cells(reading) * len(reading.extent.layers) * reading.extent.heads


def _visible_cells(reading: Reading) -> float:
    """The same of one head."""
    is_triangular = reading.source.is_causal and len(reading.queries) == len(reading.keys)
    return len(reading.queries) * len(reading.keys) / (2 if is_triangular else 1)
