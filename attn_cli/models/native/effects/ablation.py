"""Runs a text with heads switched off, many variants in one batch: nothing below a head is computed twice.

The batch grows: its first row is the clean run, and a variant leaves it at the lowest layer that it changes.
B variants, H heads, T tokens, D features per head, M features of the model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from attn_cli.core.arrays import Array, device_of, namespace
from attn_cli.core.multihead import Attention
from attn_cli.models.native.spec import Spec
from attn_cli.models.native.transformer import Changes, Edit, Inputs, Memory, OpenText, Transformer
from attn_cli.models.predictions import RunProgress, SwitchedHead, Variant
from attn_cli.record import record
from attn_cli.vocabulary import Kind

_NUMBERS = 1 << 26  # of the widest array of a batch: 256 MB
_VECTORS = 8  # of M features held per token of a run: its streams, queries, keys, values, contexts
_MATRICES = 4.5  # of T × T held per head: scores, logits, exponentials, weights, and the mask
_INNER = 6  # arrays of the feed-forward block: GELU alone holds five


@record(frozen=True, slots=True)
class _Numbered:
    """A variant, its number among all, and the lowest layer that it changes."""

    number: int
    variant: Variant
    layer: int


@record(frozen=True, slots=True, eq=False)
class AblatedRuns:
    """Runs of one text in which heads are switched off."""

    model: Transformer
    inputs: Inputs
    memory: Memory | None = None
    keeps_patterns: bool = False  # whether all heads keep the weights of the clean run

    def outputs(self, variants: Sequence[Variant], position: int, progress: RunProgress) -> Array:
        """(1 + B, M) the last layer's output at a position, before the final norm; first the clean run's.

        `progress` is called with the number of layers that have run, counted once for each chunk.

        Raises:
            AttnError: the weights are damaged.
        """
        x = self.model.embedded(self.inputs)
        opened = self.model.opened(self.inputs, x, self.memory)
        chunks = list(self._chunks(variants, int(x.shape[-2])))
        total = sum(self.model.spec.layers - chunk[0].layer for chunk in chunks)
        rows: dict[int, Array] = {}
        clean, first, done = x[None, ...], 0, 0
        for index, chunk in enumerate(chunks):
            later = chunks[index + 1][0].layer if index + 1 < len(chunks) else first
            batch = _Batch(self.model.spec.layers, opened, chunk, self.keeps_patterns)
            for layer, stream in batch.run(clean, first):
                if layer == later:
                    clean = stream[:1]
                done += layer >= chunk[0].layer
                progress(min(done, total), total)
                ended = stream
            at_position = namespace(x).asarray(ended[:, position, :], copy=True)  # not all positions with it
            rows[-1] = at_position[0]
            rows |= {each.number: at_position[row + 1] for row, each in enumerate(chunk)}
            first = later
        return namespace(x).stack([rows[number] for number in range(-1, len(variants))])

    def _chunks(self, variants: Sequence[Variant], tokens: int) -> Iterator[list[_Numbered]]:
        """The variants by their lowest layer, as many at once as memory allows."""
        numbered = [
            _Numbered(number, variant, min(head.layer for head in variant))
            for number, variant in enumerate(variants)
        ]
        numbered.sort(key=lambda each: each.layer)
        size = _at_once(self.model.spec, tokens)
        return (numbered[start : start + size] for start in range(0, len(numbered), size))


@record(frozen=True, slots=True, eq=False)
class _Batch:
    """Some variants that run together, from the lowest layer to the last."""

    layers: int
    opened: OpenText
    variants: Sequence[_Numbered]  # by their lowest layer
    keeps_patterns: bool

    def run(self, clean: Array, first: int) -> Iterator[tuple[int, Array]]:
        """The stream (rows, T, M) that enters each layer from `first` on, then the one that leaves the last.

        `clean` (1, T, M) enters the first layer.
        """
        x = clean
        for layer in range(first, self.layers):
            yield layer, x
            x = self._with_starting(x, layer)
            x = self.opened.block(layer, x, changes=self._changes(layer)).leaving
        yield self.layers, x

    def _with_starting(self, x: Array, layer: int) -> Array:
        """The stream with a copy of the clean one for each variant that starts in this layer."""
        starting = sum(each.layer == layer for each in self.variants)
        xp = namespace(x)
        return xp.concat([x, xp.broadcast_to(x[:1], (starting, *x.shape[1:]))]) if starting else x

    def _changes(self, layer: int) -> Changes:
        return Changes(
            self._edit(layer, is_cross=False),
            self._edit(layer, is_cross=True),
            _with_clean_patterns if self.keeps_patterns else None,
        )

    def _edit(self, layer: int, *, is_cross: bool) -> Edit | None:
        """Switches the heads of a layer off, each in the rows of its variants."""
        heads = [
            (row, head)
            for row, each in enumerate(self.variants, start=1)
            for head in each.variant
            if head.layer == layer and (head.kind is Kind.CROSS) == is_cross
        ]
        return (lambda contexts: _switched(contexts, heads)) if heads else None


def _at_once(spec: Spec, tokens: int) -> int:
    """How many variants of a text run in one batch."""
    widest = max(2 * spec.feed_forward.size, spec.width, spec.heads * tokens)
    return max(1, _NUMBERS // (tokens * widest))


def numbers_of_runs(spec: Spec, tokens: int, variants: int) -> int:
    """How many numbers a batch of these variants of a text holds at most, with the clean run and what leaves.

    An estimate: with 24 to 460 tokens it was 1.1 to 1.7 times what was measured.
    """
    inside = max(_MATRICES * spec.heads * tokens, _INNER * spec.feed_forward.size)
    rows = 1 + min(variants, _at_once(spec, tokens))
    return int(rows * tokens * (_VECTORS * spec.width + inside)) + (1 + variants) * spec.width


def _switched(contexts: Array, heads: Sequence[tuple[int, SwitchedHead]]) -> Array:
    """The contexts (B, H, T, D) with some heads replaced."""
    xp = namespace(contexts)
    edited = xp.asarray(contexts, copy=True)
    for row, head in heads:
        given = xp.asarray(head.contexts, dtype=edited.dtype, device=device_of(edited))
        if head.rows is None:
            edited[row, head.head, :, :] = given
        else:
            places = list(head.rows)
            edited[row, head.head, places, :] = given[places, :] if given.ndim > 1 else given
    return edited


def _with_clean_patterns(attention: Attention) -> Attention:
    """The attention in which every row of the batch has the weights of the first one."""
    operands = attention.operands
    shown = replace(operands, queries=_first(operands.queries), keys=_first(operands.keys))
    return replace(attention, operands=shown)


def _first(x: Array) -> Array:
    """(B, H, T, D) the first of the batch for all of it; keys of a memory have no batch."""
    is_batch = x.ndim > len("HTD")
    return namespace(x).broadcast_to(x[:1], x.shape) if is_batch else x


def contexts_of(
    model: Transformer, inputs: Inputs, kind: Kind, memory: Memory | None
) -> Iterator[tuple[Kind, int, Array]]:
    """(H, T, D) the contexts of the heads of each layer, and of its cross-attention if it has one.

    Raises:
        AttnError: the weights are damaged.
    """
    x = model.embedded(inputs)
    opened = model.opened(inputs, x, memory)
    for layer in range(model.spec.layers):
        found: dict[Kind, Array] = {}
        block = opened.block(layer, x, changes=Changes(kept_in(found, kind), kept_in(found, Kind.CROSS)))
        x = block.leaving
        for which, contexts in found.items():
            yield which, layer, contexts


def kept_in(found: dict[Kind, Array], kind: Kind) -> Edit:
    """Changes nothing, and keeps the contexts of this kind of attention in `found`."""

    def keep(contexts: Array) -> Array:
        found[kind] = contexts
        return contexts

    return keep
