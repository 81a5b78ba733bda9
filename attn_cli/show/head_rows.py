"""Stacks the same rows of several heads into one grid: a line for each head, or for each head and row."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from attn_cli.grid import Grid, HiddenColumn, Matrix, Ranking


def stacked(grids: Sequence[Grid], rows: Sequence[str], title: str) -> Grid:
    """The rows of the grids below one another, under these names; their columns are keys of one text."""
    places = sorted({place for grid in grids for place in _places(grid)})
    index = {place: number for number, place in enumerate(places)}
    names = {place: name for grid in grids for place, name in zip(_places(grid), grid.columns, strict=True)}
    first = grids[0]
    whole = replace(
        first,
        title=title,
        values=np.concatenate([grid.values for grid in grids]),
        visible=np.concatenate([grid.visible for grid in grids]),
        allowed=None if first.allowed is None else np.concatenate([grid.unmasked for grid in grids]),
        rows=tuple(rows),
        row_places=None,
        names_rows=True,
        columns=tuple(names[place] for place in places),
        column_places=tuple(places),
        limits=(min(grid.limits[0] for grid in grids), max(grid.limits[1] for grid in grids)),
    )
    rankings = [(grid.ranking, _places(grid)) for grid in grids if grid.ranking is not None]
    ranking = _ranked([(one, [index[place] for place in keys]) for one, keys in rankings])
    return replace(whole, sink=_sinks(grids), hidden=_hidden(grids), ranking=ranking)


def _places(grid: Grid) -> Sequence[int]:
    assert grid.column_places is not None, "keys have positions"
    return grid.column_places


def _ranked(rankings: Sequence[tuple[Ranking, Sequence[int]]]) -> Ranking | None:
    """The rankings as one, each with the indices of its columns; None if rows are whole."""
    if not rankings:
        return None
    columns: list[npt.NDArray[np.int64]] = [
        np.asarray(places, np.int64)[one.columns] for one, places in rankings
    ]
    return Ranking(
        np.concatenate(columns),
        np.concatenate([one.counts for one, _ in rankings]),
        rankings[0][0].out_of,
        (min(one.span[0] for one, _ in rankings), max(one.span[1] for one, _ in rankings)),
        any(one.leaves_out for one, _ in rankings),
    )


def _sinks(grids: Sequence[Grid]) -> Matrix | None:
    """(R,) what learned sinks have; NaN for a head without one. None if no head has one."""
    if all(grid.sink is None for grid in grids):
        return None
    return np.concatenate(
        [np.full(len(grid.rows), np.nan) if grid.sink is None else grid.sink for grid in grids]
    )


def _hidden(grids: Sequence[Grid]) -> HiddenColumn | None:
    """What hidden keys took; None if none are hidden."""
    columns = [grid.hidden for grid in grids if grid.hidden is not None]
    if not columns:
        return None
    weight = np.concatenate([column.weight for column in columns])
    return replace(columns[0], weight=weight, average=f"{weight.mean():.2f}")
