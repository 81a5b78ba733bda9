"""What a head does, told by where its weight goes: the token before, an earlier copy, what followed one.

A score is the mean, over the rows in which the pattern is possible, of the weight on the tokens that
the pattern names (of `broad`: of its entropy as a share of the largest): 0 to 1, and 1 for a head that
does nothing else. The patterns are those of Clark et al. 2019 (arXiv:1906.04341) and Olsson et al. 2022
(arXiv:2209.11895).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attn_cli.core.grid import Matrix
from attn_cli.vocabulary import Pattern

Cells = npt.NDArray[np.bool_]

_SINGLED_OUT = 0.4  # of the weight on one pattern's tokens: then the head has its name
_RESTING = 0.5  # on the first token, where weight goes that is not needed (arXiv:2309.17453)
_SPREAD = 0.75  # of the largest entropy that the rows could have


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """How much weight the heads of a layer put on a pattern's tokens, summed over rows."""

    totals: Matrix  # (H,)
    rows: int

    @property
    def scores(self) -> Matrix:
        """(H,) the mean of a row, 0 to 1; NaN where the pattern was possible in none."""
        return self.totals / self.rows if self.rows else np.full_like(self.totals, np.nan)


def tallies(weights: Matrix, ids: npt.NDArray[np.integer], first_row: int = 1) -> dict[Pattern, Tally]:
    """How the heads of one layer score on every pattern: weights (H, T, T), ids (T,).

    Rows before `first_row` do not count: the first half of a text that repeats itself, say.
    """
    found = {pattern: _tally(weights, cells, first_row) for pattern, cells in targets(ids).items()}
    return found | {Pattern.BROAD: _breadth(weights, first_row)}


def added(tallies: Iterable[Tally]) -> Tally:
    """Several texts as one."""
    each = list(tallies)
    return Tally(np.sum([tally.totals for tally in each], axis=0), sum(tally.rows for tally in each))


def targets(ids: npt.NDArray[np.integer]) -> dict[Pattern, Cells]:
    """(T, T) for each pattern but `broad`: the cells that it names, row i the token that looks.

    An induction head looks from a token at what followed its earlier copies (not at itself, where the
    copy stands right before).
    """
    places = np.arange(ids.size)
    back = places[:, None] - places[None, :]
    copies = (ids[:, None] == ids[None, :]) & (back > 0)
    followed = np.zeros_like(copies)
    followed[:, 1:] = copies[:, :-1]
    return {
        Pattern.INDUCTION: followed & (back > 0),
        Pattern.DUPLICATE: copies,
        Pattern.PREVIOUS: back == 1,
        Pattern.CURRENT: back == 0,
        Pattern.FIRST: (places[None, :] == 0) & (back > 0),
    }


def named(scores: Mapping[Pattern, float]) -> Pattern | None:
    """The pattern that a head of these scores is known by; None where none stands out.

    A head that finds something to do rests on the first token elsewhere, so what it does then counts
    before where it rests.
    """
    doing = (Pattern.INDUCTION, Pattern.DUPLICATE, Pattern.PREVIOUS, Pattern.CURRENT)
    best = max(doing, key=lambda pattern: scores.get(pattern, 0.0))
    if scores.get(best, 0.0) >= _SINGLED_OUT:
        return best
    if scores.get(Pattern.FIRST, 0.0) >= _RESTING:
        return Pattern.FIRST
    return Pattern.BROAD if scores.get(Pattern.BROAD, 0.0) >= _SPREAD else None


def _tally(weights: Matrix, cells: Cells, first_row: int) -> Tally:
    rows = cells.any(axis=-1) & (np.arange(cells.shape[0]) >= first_row)
    return Tally((weights[:, rows] * cells[rows]).sum(axis=(-2, -1), dtype=np.float64), int(rows.sum()))


def _breadth(weights: Matrix, first_row: int) -> Tally:
    """The entropy of a row as a share of the largest that as many tokens could have."""
    rows = weights[:, max(first_row, 1) :].astype(np.float64)
    logarithms = np.log(rows, where=rows > 0, out=np.zeros_like(rows))
    entropies = -(rows * logarithms).sum(axis=-1)  # (H, rows)
    seen = (rows > 0).any(axis=0).sum(axis=-1)
    return Tally((entropies / np.log(np.maximum(seen, 2))).sum(axis=-1), rows.shape[-2])
