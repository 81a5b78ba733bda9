"""The steps of the chosen heads of a layer, spelled out as far as they are shown, and judged."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import to_numpy
from attn_cli.errors import AttnError
from attn_cli.grid import Head
from attn_cli.models.source import Layer
from attn_cli.reading.window import Portion
from attn_cli.vocabulary import Kind, Step

Numbers = npt.NDArray[Any]

DEFAULT = (Step.SCORES, Step.WEIGHTS)
"""The steps that are shown where nobody names one."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A layer whose heads are shown."""

    kind: Kind
    number: int
    layer: Layer

    def heads(
        self, chosen: Sequence[int], steps: Collection[Step] | None, portion: Portion
    ) -> Iterator[Head]:
        """The steps of the chosen heads; None is the scores and weights, or what stands in for them.

        Raises:
            AttnError: a number is not finite.
        """
        return self._pooled(chosen, portion) if portion.is_pooled else self._spelled(chosen, steps, portion)

    def weights(self, chosen: Sequence[int], rows: Sequence[int]) -> Numbers:
        """(H, R, S) of some rows, whole ones.

        Raises:
            AttnError: a number is not finite.
        """
        steps, _ = self._judged(self.layer.at(rows), chosen, {Step.WEIGHTS})
        return steps[Step.WEIGHTS]

    def _spelled(
        self, chosen: Sequence[int], steps: Collection[Step] | None, portion: Portion
    ) -> Iterator[Head]:
        absent = self.layer.absent
        if steps is None:
            steps = (*DEFAULT, Step.LOGITS) if Step.SCORES in absent else DEFAULT
        arrays, mask = self._arrays(chosen, steps, portion)
        for index, head in enumerate(chosen):
            yield Head(
                kind=self.kind,
                layer=self.number,
                head=head,
                kv_head=self.layer.kv_head(head),
                scale=self.layer.scale,
                queries=tuple(portion.rows),
                keys=tuple(portion.columns),
                steps={step: array[index] for step, array in arrays.items()},
                mask=mask,
                absent={step: absent[step] for step in steps if step in absent},
            )

    def _arrays(
        self, chosen: Sequence[int], steps: Collection[Step], portion: Portion
    ) -> tuple[dict[Step, Numbers], Numbers | None]:
        """Each step (H, R, ...) of the chosen rows and columns, and the mask (R, C) where there are pairs."""
        blocks = list[dict[Step, Numbers]]()
        masks = list[Numbers]()
        for layer in self._parts(portion):
            found, mask = self._judged(layer, chosen, steps)
            blocks.append({step: _of_columns(step, found[step], portion) for step in found})
            if any(step.is_pairwise for step in steps):
                masks.append(_of_columns(Step.MASK, mask, portion))
        joined = {step: _joined(step, [block[step] for block in blocks]) for step in blocks[0]}
        return joined, _joined(Step.MASK, masks) if masks else None

    def _parts(self, portion: Portion) -> Iterator[Layer]:
        """The layer a block of rows at a time; as it is where one block is all of it."""
        for rows in portion.blocks():
            yield self.layer if len(rows) == portion.queries else self.layer.at(rows)

    def _judged(
        self, layer: Layer, chosen: Sequence[int], steps: Collection[Step]
    ) -> tuple[dict[Step, Numbers], Numbers]:
        """Each step (H, R, ...) of all columns, and the mask (R, S).

        The logits are judged whatever was asked for: where they overflow, the weights are zeros that look
        like a row that may look nowhere.
        """
        found = {step: to_numpy(array) for step, array in layer.steps(chosen, {*steps, Step.LOGITS}).items()}
        mask = to_numpy(layer.mask)
        for index, head in enumerate(chosen):
            for step, array in found.items():
                values = array[index][mask] if step is Step.LOGITS else array[index]
                self._check(step, head, is_finite=bool(np.isfinite(values).all()))
        return {step: array for step, array in found.items() if step in steps}, mask

    def _pooled(self, chosen: Sequence[int], portion: Portion) -> Iterator[Head]:
        pooled = self.layer.pooled(chosen, portion.most)
        for index, head in enumerate(chosen):
            self._check(Step.LOGITS, head, is_finite=bool(pooled.are_finite[index]))
            yield Head(
                kind=self.kind,
                layer=self.number,
                head=head,
                kv_head=self.layer.kv_head(head),
                scale=self.layer.scale,
                queries=tuple(portion.rows[:: pooled.cells[0]]),
                keys=tuple(portion.columns[:: pooled.cells[1]]),
                steps={Step.WEIGHTS: pooled.weights[index]},
                mask=pooled.visible,
                cells=pooled.cells,
            )

    def _check(self, step: Step, head: int, *, is_finite: bool) -> None:
        check_finite(is_finite, f"{step} of head {self.number}.{head}")


def check_finite(are_finite: bool, name: str) -> None:
    """Raise `AttnError` where some number is infinite, or none.

    Raises:
        AttnError: some is.
    """
    if not are_finite:
        hint = "check the weights; in float16 numbers overflow: --dtype bfloat16 or float32"
        raise AttnError(f"the {name} are not all finite numbers", hint)


def _of_columns(step: Step, values: Numbers, portion: Portion) -> Numbers:
    """Only the chosen keys of a step (..., R, S) or (..., S, D); queries' own features are no keys."""
    if len(portion.columns) == portion.keys or not (step.is_pairwise or step.is_of_keys):
        return values
    return values.take(list(portion.columns), axis=-1 if step.is_pairwise else -2)


def _joined(step: Step, blocks: Sequence[Numbers]) -> Numbers:
    """The blocks of rows as one array; each block knows all keys."""
    return blocks[0] if len(blocks) == 1 or step.is_of_keys else np.concatenate(blocks, axis=-2)
