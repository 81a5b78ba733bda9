"""Runs layers and yields the steps of the chosen heads within the window, checked to be finite."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import to_numpy
from attn_cli.errors import AttnError
from attn_cli.grid import Head, Hidden, KeyShare, Ranking, Sink
from attn_cli.models.source import Layer
from attn_cli.reading.long_texts.duration import check_duration
from attn_cli.reading.memory import check_heads_fit
from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place
from attn_cli.reading.window import Window
from attn_cli.record import record
from attn_cli.vocabulary import Kind, Step

if TYPE_CHECKING:
    from attn_cli.core.attention import LearnedSink
    from attn_cli.core.hiding import Hiding, Shares
    from attn_cli.core.largest import LargestOfRows
    from attn_cli.reading.pooled.norms import PooledStep

Numbers = npt.NDArray[Any]

DEFAULT_STEPS = (Step.SCORES, Step.WEIGHTS)
"""The steps shown by default."""

_BEFORE_THE_MASK = frozenset({Step.SCORES, Step.BIAS})
_OF_SINKS = frozenset({Step.LOGITS, Step.WEIGHTS})  # the steps in which a learned sink has a part

FEWEST_ROWS = 8
"""Rows that may look at several keys, before it is worth saying that most of them look at one."""

unwarned = np.errstate(over="ignore", invalid="ignore", divide="ignore")
"""Silences NumPy's warnings: numbers that are not finite are reported as an error instead."""


@unwarned
def head_steps(
    reading: Reading,
    places: Sequence[Place],
    steps: Collection[Step] | None = None,
    window: Window | None = None,
) -> list[Head]:
    """The steps of the heads at `places`, in their order; layers after the last one do not run.

    The default steps are scores and weights, and also logits if the scores are missing; the default window is
    the whole matrix.

    Raises:
        AttnError: the weights are damaged, a number is not finite, or there is not enough memory.
    """
    window = window or reading.whole
    check_heads_fit(reading, places, steps or DEFAULT_STEPS, window)
    return heads_of_layers(shown_layers(reading, places), places, steps, window)


def shown_layers(reading: Reading, places: Sequence[Place]) -> "Iterator[ShownLayer]":
    """The layers of those heads, run lazily."""
    layers = sorted({layer for layer, _ in places})
    return (ShownLayer(reading.kind, number, layer) for number, layer in run_layers(reading, layers))


@unwarned
def shown_layer(reading: Reading, number: int) -> "ShownLayer":
    """One layer, run up to its attention."""
    (shown,) = shown_layers(reading, [(number, 0)])
    return shown


def run_layers(reading: Reading, layers: Sequence[int]) -> Iterator[tuple[int, Layer]]:
    """The given layers, in ascending order, run lazily; between words if the reading has them.

    Raises:
        AttnError: those below the last one would take hours.
    """
    check_duration(reading, max(layers))
    attentions = reading.source.attentions(reading.texts, reading.kind, layers)
    return zip(layers, (as_read(reading, layer) for layer in attentions), strict=False)


def as_read(reading: Reading, layer: Layer) -> Layer:
    """A layer between tokens as the reading has it: between words if it has them."""
    if reading.words is None:
        return layer
    from attn_cli.reading.words.layer import WordLayer  # few commands merge tokens

    return WordLayer.of(layer, reading.words)


def heads_of_layers(
    layers: "Iterable[ShownLayer]", places: Sequence[Place], steps: Collection[Step] | None, window: Window
) -> list[Head]:
    """The heads at `places`, in their order."""
    by_place: dict[Place, Head] = {}
    for layer in layers:
        chosen = [head for number, head in places if number == layer.number]
        by_place |= {(layer.number, head.head): head for head in layer.heads(chosen, steps, window)}
    return [by_place[place] for place in places]


@record(frozen=True, slots=True, eq=False)
class ShownLayer:
    """A layer whose heads are shown."""

    kind: Kind
    number: int
    layer: Layer

    def as_read(self, reading: Reading) -> "ShownLayer":
        """The same, from a layer between tokens: between words if the reading has them."""
        return replace(self, layer=as_read(reading, self.layer))

    def heads(self, chosen: Sequence[int], steps: Collection[Step] | None, window: Window) -> Iterator[Head]:
        """The steps of the chosen heads; None: the default steps, as in `head_steps`.

        Raises:
            AttnError: a number is not finite.
        """
        if not window.is_pooled:
            return self._whole(chosen, steps, window)
        if steps is None or set(steps) == {Step.WEIGHTS}:
            return self._pooled(chosen, window)
        return self._all_pooled(chosen, steps, window)

    def weights(self, chosen: Sequence[int], rows: Sequence[int]) -> Numbers:
        """(H, R, S) the weights in the given rows, over all keys.

        Raises:
            AttnError: a number is not finite.
        """
        steps, _ = self._checked(self.layer.at(rows), chosen, {Step.WEIGHTS})
        return steps[Step.WEIGHTS]

    def matrices(self, steps: Collection[Step], chosen: Sequence[int], rows: Sequence[int]) -> list[Numbers]:
        """(H, R, S) pairwise steps that are not absent, in the given rows and over all keys, in their order.

        Raises:
            AttnError: a number is not finite.
        """
        found, _ = self._checked(self.layer.at(rows), chosen, steps)
        return [found[step] for step in steps]

    def weight_of_sink(self, head: int, rows: Sequence[int]) -> Numbers | None:
        """(R,) what the learned sink of a head takes of the given rows; None if it has none.

        Raises:
            AttnError: a number is not finite.
        """
        sinks = self._sinks_of([self.layer.at(rows)], [head])
        return None if sinks is None else sinks[0].weight

    def _whole(self, chosen: Sequence[int], steps: Collection[Step] | None, window: Window) -> Iterator[Head]:
        absent = self.layer.absent
        if steps is None:
            steps = (*DEFAULT_STEPS, Step.LOGITS) if Step.SCORES in absent else DEFAULT_STEPS
        shown = self._arrays(chosen, steps, window)
        parts = self._parts(window, len(chosen))
        sinks = self._sinks_of(parts, chosen) if _OF_SINKS & set(steps) else None
        for index, head in enumerate(chosen):
            yield Head(
                kind=self.kind,
                layer=self.number,
                head=head,
                kv_head=self.layer.kv_head(head),
                scale=self.layer.scale,
                queries=tuple(window.rows),
                keys=tuple(window.columns),
                steps=shown.steps_of(index),
                mask=shown.mask,
                absent={step: absent[step] for step in steps if step in absent},
                sink=None if sinks is None else sinks[index],
                hidden=shown.hidden_of(index, window),
                favourite=shown.favourite_of(index, window),
                rankings=shown.rankings_of(index, window),
            )

    def _sinks_of(self, parts: Iterable[Layer], chosen: Sequence[int]) -> list[Sink] | None:
        """The learned sink of each head, over the rows of these parts of the layer; None if it has none."""
        sinks = list["LearnedSink"]()
        for layer in parts:
            sink = layer.sink(chosen)
            if sink is None:
                return None
            sinks.append(sink)
        weights = np.concatenate([to_numpy(sink.weights) for sink in sinks], axis=-1)
        for head, of_head in zip(chosen, weights, strict=True):
            self._check("weights on the sink", head, is_finite=bool(np.isfinite(of_head).all()))
        return [Sink(logit, weight) for logit, weight in zip(_logits_of(sinks), weights, strict=False)]

    def _arrays(self, chosen: Sequence[int], steps: Collection[Step], window: Window) -> "_Arrays":
        """Each step (H, R, ...) within the window, and the mask (R, C) if a step is pairwise."""
        blocks, masks = list[dict[Step, Numbers]](), list[Numbers]()
        shares, received = list["Shares"](), _Received.nothing(len(chosen), window.keys)
        listed, written = list[dict[Step, "LargestOfRows"]](), list[dict[Step, Numbers]]()
        for layer in self._parts(window, len(chosen)):
            arrays, mask = self._checked(layer, chosen, {*steps, *_needed(window)})
            if window.hiding is not None:
                arrays[Step.WEIGHTS], of_rows = _as_shown(arrays[Step.WEIGHTS], window.hiding)
                shares.append(of_rows)
                written.append(_by_hidden(arrays, window.hiding))
                if Step.NORM_SHARES in arrays:
                    arrays[Step.NORM_SHARES], _ = _as_shown(arrays[Step.NORM_SHARES], window.hiding)
            elif Step.WEIGHTS in steps:
                received = received.plus(arrays[Step.WEIGHTS], mask)
            block = {step: _of_columns(step, arrays[step], window) for step in arrays if step in steps}
            seen = _of_columns(Step.MASK, mask, window)
            if window.top:
                left = shares[-1].left if shares else None
                listed.append(_largest(block, seen, left, window))
                block = {step: array for step, array in block.items() if step not in listed[-1]}
            elif any(step.is_pairwise for step in steps):
                masks.append(seen)
            blocks.append(block)
        joined = {step: _joined(step, [block[step] for block in blocks]) for step in blocks[0]}
        whole_mask = _joined(Step.MASK, masks) if masks else None
        return _Arrays(joined, whole_mask, shares, received, _joined_rankings(listed), written)

    def _parts(self, window: Window, heads: int) -> Iterator[Layer]:
        """The layer, a block of rows at a time; the layer itself if one block has all rows."""
        for rows in window.blocks(heads if window.top else 1):
            yield self.layer if len(rows) == window.queries else self.layer.at(rows)

    def _checked(
        self, layer: Layer, chosen: Sequence[int], steps: Collection[Step]
    ) -> tuple[dict[Step, Numbers], Numbers]:
        """Each step (H, R, ...) over all columns, and the mask (R, S).

        The logits are always checked: if they overflow, the weights are zeros, as in a row that may look
        nowhere.
        """
        arrays = {step: to_numpy(array) for step, array in layer.steps(chosen, {*steps, Step.LOGITS}).items()}
        mask = to_numpy(layer.mask)
        for index, head in enumerate(chosen):
            for step, array in arrays.items():
                values = array[index][mask] if step is Step.LOGITS else array[index]
                self._check(step, head, is_finite=bool(np.isfinite(values).all()))
        return {step: array for step, array in arrays.items() if step in steps}, mask

    def _pooled(self, chosen: Sequence[int], window: Window) -> Iterator[Head]:
        pooled = self.layer.pooled(chosen, window.most, window.pool, window.hiding)
        for index, head in enumerate(chosen):
            self._check(Step.LOGITS, head, is_finite=bool(pooled.are_finite[index]))
            yield Head(
                kind=self.kind,
                layer=self.number,
                head=head,
                kv_head=self.layer.kv_head(head),
                scale=self.layer.scale,
                queries=tuple(window.rows[:: pooled.cells[0]]),
                keys=tuple(window.columns[:: pooled.cells[1]]),
                steps={Step.WEIGHTS: pooled.weights[index]},
                mask=pooled.visible,
                cells=pooled.cells,
                pool=window.pool,
                sink=None if pooled.sink is None else self._pooled_sink(pooled.sink[index], head),
                hidden=_hidden(window, pooled.hidden, pooled.left, index),
                favourite=_favourite_of_all(pooled.received, index, window),
            )

    def _all_pooled(self, chosen: Sequence[int], steps: Collection[Step], window: Window) -> Iterator[Head]:
        """The same with norms and their shares, which are pooled beside the weights, block by block."""
        absent = {step: why for step, why in self.layer.absent.items() if step in steps}
        others = {*steps} - {*absent, Step.WEIGHTS}
        pooled = {step: self._pool_step(step, chosen, window) for step in others}
        for index, head in enumerate(self._pooled(chosen, window)):
            of_head = {step: each.cells[index] for step, each in pooled.items()} | dict(head.steps)
            shown = {step: of_head[step] for step in Step if step in steps and step in of_head}
            favourite, hidden = head.favourite if Step.WEIGHTS in steps else None, head.hidden
            if hidden is not None:
                written = {
                    step: each.hidden[index] for step, each in pooled.items() if each.hidden is not None
                }
                hidden = replace(hidden, written=written)
            yield replace(head, steps=shown, absent=absent, favourite=favourite, hidden=hidden)

    def _pool_step(self, step: Step, chosen: Sequence[int], window: Window) -> "PooledStep":
        """A step of the chosen heads, pooled as the weights are."""
        from attn_cli.reading.pooled.norms import pool_step  # few commands ask for it

        pooled = pool_step(self.layer, step, chosen, window)
        for head, is_finite in zip(chosen, pooled.are_finite, strict=True):
            self._check(step, head, is_finite=bool(is_finite))
        return pooled

    def _pooled_sink(self, weight: Numbers, head: int) -> Sink:
        """The sink of a head whose rows are pooled; its logit only if it is the same in all of them."""
        sink = self.layer.at([0]).sink([head])
        assert sink is not None, "pooled weights on a sink are those of a layer that has one"
        return Sink(to_numpy(sink.logits)[0] if sink.is_one else None, weight)

    def _check(self, step: str, head: int, *, is_finite: bool) -> None:
        check_finite(is_finite, f"{step} of head {self.number}.{head}")


@record(frozen=True, slots=True, eq=False)
class _Received:
    """What the keys receive of some rows that may look at more than one."""

    weights: Numbers  # (H, S) summed over the rows
    rows: int

    @classmethod
    def nothing(cls, heads: int, keys: int) -> "_Received":
        return cls(np.zeros((heads, keys)), 0)

    def plus(self, weights: Numbers, mask: Numbers) -> "_Received":
        """The same with the rows of a block."""
        choosing = mask.sum(axis=-1) > 1
        more = weights[:, choosing].sum(axis=1, dtype=np.float64)
        return _Received(self.weights + more, self.rows + int(choosing.sum()))


@record(frozen=True, slots=True, eq=False)
class _Arrays:
    """The steps of some heads within a window, and what their hidden keys take, block by block."""

    steps: dict[Step, Numbers]
    mask: Numbers | None
    shares: "Sequence[Shares]"
    received: _Received
    listed: "Mapping[Step, LargestOfRows]"  # the steps of which only the largest numbers are kept
    written: Sequence[Mapping[Step, Numbers]]  # (H, R) of norms and their shares, block by block

    def steps_of(self, index: int) -> dict[Step, Numbers]:
        """The steps of this head."""
        of_rows = {step: largest.values[index] for step, largest in self.listed.items()}
        found = {step: array[index] for step, array in self.steps.items()} | of_rows
        return {step: found[step] for step in Step if step in found}

    def rankings_of(self, index: int, window: Window) -> dict[Step, Ranking]:
        """Where the largest numbers of this head are."""
        return {
            step: Ranking(
                largest.columns[index],
                largest.counts[index],
                len(window.columns),
                (float(largest.lowest[index].min()), float(largest.highest[index].max())),
                step in _BEFORE_THE_MASK and bool((largest.counts[index] < len(window.columns)).any()),
            )
            for step, largest in self.listed.items()
        }

    def hidden_of(self, index: int, window: Window) -> Hidden | None:
        """What the hidden keys take of this head; None if none is hidden."""
        if not self.shares:
            return None
        weight = np.concatenate([each.hidden for each in self.shares], axis=-1)
        left = np.concatenate([each.left for each in self.shares], axis=-1)
        hidden = _hidden(window, weight, left, index)
        of_steps = {step: [each[step][index] for each in self.written] for step in self.written[0]}
        written = {step: np.concatenate(each, axis=-1) for step, each in of_steps.items()}
        return None if hidden is None else replace(hidden, written=written)

    def favourite_of(self, index: int, window: Window) -> KeyShare | None:
        """The key that receives most of this head; None if too few rows count, or it is out of sight."""
        favourite = _favourite(self.received.weights[index], self.received.rows)
        return favourite if favourite is not None and favourite.key in window.columns else None


def _hidden(window: Window, weight: Numbers | None, left: Numbers | None, index: int) -> Hidden | None:
    """What the hidden keys take of the rows of a head, and what is left."""
    if window.hiding is None:
        return None
    assert weight is not None, "known if keys are hidden"
    assert left is not None, "as is what is left"
    return Hidden(tuple(window.hiding.keys), weight[index], left[index], window.hiding.is_renormalized)


def _favourite_of_all(received: Numbers | None, index: int, window: Window) -> KeyShare | None:
    """The same of a head that is pooled; None if keys are hidden, for then only the others are numbered."""
    if received is None or window.hiding is not None:
        return None
    return _favourite(received[index], window.queries)


def _favourite(received: Numbers, rows: int) -> KeyShare | None:
    """The key that receives most of those rows, if they are enough to say so."""
    if rows < FEWEST_ROWS:
        return None
    key = int(received.argmax())
    return KeyShare(key, float(received[key]) / rows)


def _largest(
    block: dict[Step, Numbers], mask: Numbers, left: Numbers | None, window: Window
) -> "dict[Step, LargestOfRows]":
    """The largest unmasked numbers of each row of the matrices; `left` (H, R) by hidden keys, if any."""
    from attn_cli.core.largest import LargestOfRows  # few commands list the keys of a long text

    is_divided = window.hiding is not None and window.hiding.is_renormalized and left is not None
    found = dict[Step, LargestOfRows]()
    for step in (step for step in block if step.is_pairwise):
        visible = np.ones_like(mask) if step is Step.MASK else mask
        if step is Step.WEIGHTS and is_divided and left is not None:
            visible = mask & (left > 0)[..., None]  # nothing cannot be divided by nothing
        found[step] = LargestOfRows.of(block[step], visible, window.top)
    return found


def _joined_rankings(blocks: "Sequence[dict[Step, LargestOfRows]]") -> "dict[Step, LargestOfRows]":
    if not blocks:
        return {}
    from attn_cli.core.largest import joined  # already imported

    return {step: joined([block[step] for block in blocks]) for step in blocks[0]}


def _logits_of(sinks: "Sequence[LearnedSink]") -> "Iterable[Numbers | None]":
    """The logits of each head, () or (R,), from those of blocks of rows; None if a row has none."""
    logits = [to_numpy(sink.logits) for sink in sinks if sink.logits is not None]
    if not logits:
        return repeat(None)
    return logits[0] if logits[0].ndim == 1 else np.concatenate(logits, axis=-1)


def _needed(window: Window) -> Collection[Step]:
    """The steps that are computed besides those that are shown."""
    return () if window.hiding is None else (Step.WEIGHTS,)


def _by_hidden(arrays: Mapping[Step, Numbers], hiding: "Hiding") -> dict[Step, Numbers]:
    """(H, R) what hidden keys add, in the steps that tell what keys add."""
    steps = (step for step in (Step.NORMS, Step.NORM_SHARES) if step in arrays)
    return {step: arrays[step][..., list(hiding.keys)].sum(axis=-1) for step in steps}


def _as_shown(weights: Numbers, hiding: "Hiding") -> "tuple[Numbers, Shares]":
    from attn_cli.core.hiding import as_shown  # few commands hide keys

    return as_shown(weights, hiding)


def check_finite(are_finite: bool, name: str) -> None:
    """Check that no number is infinite or NaN.

    Raises:
        AttnError: one is.
    """
    if not are_finite:
        hint = "check the weights; float16 overflows easily: --dtype bfloat16 or float32"
        raise AttnError(f"the {name} are not all finite numbers", hint)


def _of_columns(step: Step, values: Numbers, window: Window) -> Numbers:
    """Only the chosen keys of a step (..., R, S) or (..., S, D); other steps have no axis of keys."""
    if len(window.columns) == window.keys or not (step.is_pairwise or step.is_of_keys):
        return values
    return values.take(list(window.columns), axis=-1 if step.is_pairwise else -2)


def _joined(step: Step, blocks: Sequence[Numbers]) -> Numbers:
    """The blocks of rows as one array; steps of keys are the same in every block."""
    return blocks[0] if len(blocks) == 1 or step.is_of_keys else np.concatenate(blocks, axis=-2)
