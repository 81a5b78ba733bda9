"""Builds labelled matrices: the steps of heads, distances between heads, a metric of every head."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from attn_cli.grid import Grid, Head, HiddenColumn, Landmarks, Matrix, Sides
from attn_cli.show.scale import StepScale, limits_by_size, limits_of, on_unmasked, stands_out_by_size
from attn_cli.vocabulary import Distance, Kind, Metric, Pool, Step

_OF_SINKS = frozenset({Step.LOGITS, Step.WEIGHTS})
_MASKED = _OF_SINKS | {Step.NORMS, Step.NORM_SHARES, Step.VALUE_ZEROING}
_FROM_ZERO = frozenset({Step.NORMS, Step.VALUE_ZEROING})
_SHARES = frozenset({Step.WEIGHTS, Step.NORM_SHARES})
_BEFORE_THE_MASK = frozenset({Step.SCORES, Step.BIAS})
_USUAL = StepScale()
_FEATURE = "feature"
_SINGULAR = {
    Step.QUERIES: "query",
    Step.KEYS: "key",
    Step.VALUES: "value",
    Step.SCORES: "score",
    Step.MASK: "1: may look, 0: masked",
    Step.LOGITS: "logit",
    Step.WEIGHTS: "weight",
    Step.NORMS: "norm of what is written",
    Step.NORM_SHARES: "share of what is written",
    Step.VALUE_ZEROING: "1 - cosine without the key's values",
}


def grid_of(
    title: str,
    values: Matrix,
    rows: Sequence[str],
    columns: Sequence[str],
    visible: npt.NDArray[np.bool_] | None = None,
    limits: tuple[float, float] | None = None,
    *,
    are_tokens: bool = True,
) -> Grid:
    """A `Grid`; by default every cell is visible, and the limits are those of the visible cells."""
    seen = np.ones(values.shape, dtype=bool) if visible is None else visible
    span = limits_of(values, seen) if limits is None else limits
    return Grid(title, values, tuple(rows), tuple(columns), seen, span, are_tokens)


def step_grids(texts: Sides, heads: Sequence[Head], scale: StepScale = _USUAL) -> Iterator[Grid]:
    """Every step of the heads; `texts` are the texts of the tokens."""
    firsts = {head.layer: head for head in reversed(heads)}
    for head in heads:
        is_first = firsts[head.layer] is head
        yield from (
            step_grid(texts, head, each, scale) for each in head.steps if is_first or not each.is_of_layer
        )


def first_heads(heads: Sequence[Head]) -> list[Head]:
    """The first of the heads in each layer: a step of the whole layer is shown once."""
    firsts: dict[int, Head] = {}
    for head in heads:
        firsts.setdefault(head.layer, head)
    return list(firsts.values())


def step_grid(texts: Sides, head: Head, step: Step, scale: StepScale = _USUAL) -> Grid:
    """One step of a head on this scale: tokens by tokens, or tokens by features."""
    name = f"{step} of layer {head.layer}" if step.is_of_layer else f"{step} {head.name}"
    if step is Step.SCORES:
        name += f" · q·k × {head.scale:.4g}"
    values = np.asarray(head.steps[step], dtype=np.float64)
    grid = (_pairs if step.is_pairwise else _features)(name, values, texts, head, step)
    of = f"layer {head.layer}" if step.is_of_layer else head.name
    grid = replace(grid, step=str(step), head=of, unit=_unit(step, head))
    if step in _SHARES:
        return replace(grid, limits=scale.limits, is_log=scale.is_log)
    if step in _FROM_ZERO and scale.of_others is None:
        return replace(grid, limits=_from_zero(grid))
    return on_unmasked(grid) if scale.of_others is None else replace(grid, limits=scale.of_others)


def step_panels(
    texts: Sides, heads: Sequence[Head], step: Step, scale: StepScale = _USUAL
) -> list[list[Grid]]:
    """One step of the heads as panels: one row per layer, if every layer has the same heads."""
    by_layer: dict[int, list[Head]] = {}
    if step.is_of_layer:
        heads = first_heads(heads)
    for head in heads:
        by_layer.setdefault(head.layer, []).append(head)
    heads_of_a_layer = {tuple(head.head for head in row) for row in by_layer.values()}
    is_model = len(heads_of_a_layer) == 1 and len(heads) > len(by_layer)
    rows = by_layer.values() if is_model else [heads]
    return [[step_grid(texts, head, step, scale) for head in row] for row in rows]


def summed_cells(texts: Sides, pooled: Grid) -> Grid:
    """Pooled weights summed over the keys of a cell instead of averaged: larger numbers, legible in a table.

    A grid that is not pooled, or of the largest weights, is returned unchanged.
    """
    if not pooled.is_pooled or pooled.pool is Pool.MAX:
        return pooled
    keys = len(texts.keys) - (0 if pooled.hidden is None else pooled.hidden.keys)
    values = pooled.values * np.diff(np.arange(0, keys, pooled.cells[1]), append=keys)
    summed = replace(pooled, values=values, is_summed=True)
    if pooled.step == Step.NORMS and pooled.limits == _from_zero(pooled):
        return replace(summed, limits=_from_zero(summed))
    if not pooled.by_size:
        return summed
    return replace(summed, limits=limits_by_size(*_with_sink(values, pooled.visible, pooled.sink)))


def distance_grid(distance: Distance, heads: Sequence[str], matrix: Matrix) -> Grid:
    """The distances, labelled with the heads' names on both sides, with limits 0 and 1."""
    grid = grid_of(str(distance), matrix, heads, heads, limits=(0.0, 1.0), are_tokens=False)
    return replace(grid, unit=f"distance ({distance})", axes=("head", "head"))


def difference_grid(
    heads: Sequence[str], difference: Matrix, one: Grid, other: Grid, sink: Matrix | None = None
) -> Grid:
    """The weights of the first head minus those of the second, visible where either head may look.

    `sink` (R,) is the same of what their learned sinks take.
    """
    title = f"weights {heads[0]} − {heads[1]}"
    values = np.asarray(difference, dtype=np.float64)
    visible = one.visible | other.visible
    if one.hidden is not None and one.hidden.is_renormalized:  # rows that both heads have
        rows = np.asarray(one.visible.any(axis=1) & other.visible.any(axis=1))
        visible &= rows[:, None]
    limits = limits_by_size(*_with_sink(values, visible, None if one.is_pooled else sink))
    grid = replace(one, title=title, values=values, visible=visible, limits=limits, by_size=True, sink=sink)
    grid = replace(grid, is_log=False, step="", head="", unit="difference of weights")
    if one.hidden is None or other.hidden is None:
        return grid
    weight, average = (
        one.hidden.weight - other.hidden.weight,
        f"{one.hidden.average} − {other.hidden.average}",
    )
    return replace(grid, hidden=replace(one.hidden, weight=weight, average=average))


def metric_grid(
    metric: Metric,
    places: Sequence[tuple[int, int]],
    values_of: Mapping[tuple[int, int], float | None],
) -> Grid:
    """A metric of the heads at `places`, one row per layer; a head without a value is blank."""
    layers, heads = (sorted(set(numbers)) for numbers in zip(*places, strict=True))
    values = np.full((len(layers), len(heads)), np.nan)
    for (layer, head), value in values_of.items():
        values[layers.index(layer), heads.index(head)] = np.nan if value is None else value
    seen = np.isfinite(values)
    values = np.where(seen, values, 0.0)
    title = f"{metric}, layer × head"
    limits = around_zero(values) if metric.is_effect else (0.0, float(values.max(initial=0.0)) or 1.0)
    grid = grid_of(
        title, values, list(map(str, layers)), list(map(str, heads)), seen, limits, are_tokens=False
    )
    unit = f"{metric} ({metric.unit})" if metric.unit else str(metric)
    return replace(grid, step=str(metric), unit=unit, axes=("layer", "head"))


def around_zero(values: Matrix) -> tuple[float, float]:
    """Limits with 0 in their middle, that have all values within."""
    most = float(np.abs(values).max(initial=0.0)) or 1.0
    return -most, most


def _unit(step: Step, head: Head) -> str:
    """What a number of a step is."""
    if step is Step.SCORES and head.scale is not None:
        return f"score (q·k × {head.scale:.4g})"
    return _SINGULAR.get(step, str(step))


def _pairs(name: str, values: Matrix, texts: Sides, head: Head, step: Step) -> Grid:
    """A step that is a matrix of queries by keys."""
    if step in head.rankings:
        return _ranked(name, values, texts, head, step)
    rows, columns = _numbers(texts.query_numbers, head.queries), _numbers(texts.key_numbers, head.keys)
    queries = list(map(str, rows)) if head.is_pooled else [texts.queries[place] for place in head.queries]
    keys = list(map(str, columns)) if head.is_pooled else [texts.keys[place] for place in head.keys]
    mask = head.mask if step in _MASKED else None
    visible = np.ones(values.shape, dtype=bool) if mask is None else mask
    if step in _SHARES and head.hidden is not None and head.hidden.is_renormalized:
        visible = visible & (head.hidden.left > 0)[:, None]  # nothing cannot be divided by nothing
    sink = _sink_column(head, step)
    limits = limits_of(*_with_sink(values, visible, sink))
    grid = grid_of(name, values, queries, keys, visible, limits)
    allowed = head.mask if step in _BEFORE_THE_MASK else None
    of_texts = replace(grid, row_places=rows, column_places=columns)
    axes = ("query (decoder)", "key (encoder)") if head.kind is Kind.CROSS else ("", "")
    of_texts = replace(of_texts, cells=head.cells, pool=head.pool, axes=axes)
    if texts.landmarks is not None:
        of_texts = replace(
            of_texts,
            row_landmarks=_landmarks(texts.landmarks[0], head.queries, head),
            column_landmarks=_landmarks(texts.landmarks[1], head.keys, head),
        )
    return replace(of_texts, allowed=allowed, sink=sink, hidden=_hidden_column(head, step))


def _ranked(name: str, values: Matrix, texts: Sides, head: Head, step: Step) -> Grid:
    """The largest numbers of each row of such a matrix; columns are the keys that occur among them."""
    ranking, sink = head.rankings[step], _sink_column(head, step)
    listed = ranking.is_listed
    columns, places = np.unique(
        np.where(listed, ranking.columns, ranking.columns[:1, :1]), return_inverse=True
    )
    keys = tuple(head.keys[column] for column in columns.tolist())
    rows, names = ([texts.queries[query] for query in head.queries], [texts.keys[key] for key in keys])
    ends = np.array(ranking.span if ranking.counts.any() else ())
    seen = ends if sink is None else np.append(ends, sink[np.isfinite(sink)])
    grid = grid_of(name, values, rows, names, listed, limits_of(seen, np.ones(seen.shape, dtype=bool)))
    row_places, column_places = (
        _numbers(texts.query_numbers, head.queries),
        _numbers(texts.key_numbers, keys),
    )
    of_texts = replace(grid, row_places=row_places, column_places=column_places, sink=sink)
    in_grid = replace(ranking, columns=places.reshape(ranking.columns.shape))
    return replace(of_texts, hidden=_hidden_column(head, step), ranking=in_grid)


def _sink_column(head: Head, step: Step) -> Matrix | None:
    """(R,) the logit of the head's learned sink, or its weight, in each row; None in other steps."""
    if head.sink is None or step not in _OF_SINKS:
        return None
    column = head.sink.weight if step is Step.WEIGHTS else head.sink.logit
    assert column is not None, "pooled heads have no logits"
    return np.asarray(np.broadcast_to(column, head.sink.weight.shape), dtype=np.float64)


def _hidden_column(head: Head, step: Step) -> HiddenColumn | None:
    """What the hidden keys of a head take of its rows, beside its weights; or what they add, beside norms."""
    hidden = head.hidden
    if hidden is None or not (step is Step.WEIGHTS or step in hidden.written):
        return None
    taken = hidden.weight if step is Step.WEIGHTS else hidden.written[step]
    numbers, average = np.asarray(taken, dtype=np.float64), f"{hidden.average(taken):.2f}"
    return HiddenColumn(len(hidden.keys), numbers, average, hidden.is_renormalized and step in _SHARES)


def _with_sink(
    values: Matrix, visible: npt.NDArray[np.bool_], sink: Matrix | None
) -> tuple[Matrix, npt.NDArray[np.bool_]]:
    """The values (R, C) and which are visible, with the column of a sink if there is one."""
    if sink is None:
        return values, visible
    return np.column_stack([values, sink]), np.column_stack([visible, np.isfinite(sink)])


def _from_zero(grid: Grid) -> tuple[float, float]:
    """The limits of numbers that are never negative: 0, and the largest that is in sight."""
    return 0.0, float(grid.numbers.max(initial=0.0)) or float(grid.all_numbers.max(initial=0.0)) or 1.0


def _features(name: str, values: Matrix, texts: Sides, head: Head, step: Step) -> Grid:
    """A step with one vector per token: tokens by numbered features."""
    texts_of_rows, places = (texts.keys, head.keys) if step.is_of_keys else (texts.queries, head.queries)
    rows = [texts_of_rows[place] for place in places]
    features = [str(feature) for feature in range(values.shape[-1])]
    grid = grid_of(name, values, rows, features, are_tokens=False)
    if texts.landmarks is not None:
        grid = replace(grid, row_landmarks=_landmarks(texts.landmarks[step.is_of_keys], places, head))
    axes = ("key" if step.is_of_keys else "query", _FEATURE)
    return replace(grid, row_places=places, by_size=stands_out_by_size(step), axes=axes)


def _landmarks(landmarks: Landmarks, places: Sequence[int], head: Head) -> Landmarks:
    """The landmarks of rows or columns: of a block, the best of its tokens."""
    return landmarks.best(places, len(landmarks.places)) if head.is_pooled else landmarks.at(places)


def _numbers(numbers: Sequence[int] | None, places: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers that stand beside the tokens at `places`."""
    return places if numbers is None else tuple(numbers[place] for place in places)
