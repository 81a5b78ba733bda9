"""The lines of all heads of a page, compressed by threads while the next layer runs."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Self, TypeVar

import numpy as np

from attn_cli.answers.report import ExactHead, ReportedKind, ReportedLayer, Weights, WholeRows
from attn_cli.grid import Head
from attn_cli.record import record
from attn_cli.shares import PatternShare
from attn_cli.show.page.cells import Bits, PackedHead, SeenCells, pack_exact, pack_head, pack_mask
from attn_cli.vocabulary import Metric, Step

Result = TypeVar("Result")

_WAITING = 2  # layers whose weights are held at once: one that is compressed, one that is computed


@record(frozen=True, slots=True, eq=False)
class TellingHead:
    """The head that a page begins with."""

    layer: int
    head: int
    weights: Weights  # (T, S)
    mask: Bits
    sink: Weights | None
    sharpness: float
    clearest: Callable[[], tuple[int, int]]  # the query and the key to begin with
    exact: Callable[[], ExactHead] | None  # None: it has too many numbers for a head that nobody chose


@record(frozen=True, slots=True, eq=False)
class PackedKind:
    """What the metadata say of the heads of one kind."""

    kind: ReportedKind
    first: int  # the line of its first head
    masks: Sequence[int]  # of each layer: the line of its mask
    sinks: Sequence[bool]
    metrics: Sequence[dict[Metric, float | None]]  # of each head
    patterns: Sequence[PatternShare | None]
    last_keys: Sequence[int]  # of each head: the column of the largest weight in its last row
    telling: TellingHead
    exact: Sequence[tuple[ExactHead, dict[Step, int]]]  # heads with their steps: the line of each
    rows: Sequence[tuple[WholeRows, int]]  # whole rows of a head, and their line

    @property
    def of_telling_head(self) -> list[int]:
        """The lines that the head to begin with is drawn from."""
        layer, head = self.telling.layer, self.telling.head
        index = list(self.kind.layers).index(layer)
        steps = [
            line
            for one, lines in self.exact
            if (one.head.layer, one.head.head) == (layer, head)
            for line in lines.values()
        ]
        return [self.first + index * self.kind.heads + head, self.masks[index], *dict.fromkeys(steps)]


class Payload:
    """Collects the lines; `threads` compress them."""

    def __init__(self, bits: int, threads: int) -> None:
        self.bits, self.error = bits, 0.0
        self._lines = list[bytes]()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="attn-page")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def text_without(self, early: Collection[int]) -> bytes:
        """All lines; those that are `early` are empty."""
        return b"\n".join(b"" if number in early else line for number, line in enumerate(self._lines))

    def early_text(self, early: Iterable[int]) -> bytes:
        """These lines, each after its number."""
        return b"\n".join(b"%d %s" % (number, self._lines[number]) for number in early)

    def meanwhile(self, work: Callable[[], Result]) -> Future[Result]:
        """What a thread works out while layers run."""
        return self._pool.submit(work)

    def add(self, kind: ReportedKind) -> PackedKind:
        """Run all layers of this kind and add their heads, masks and exact steps.

        Raises:
            AttnError: the weights are damaged, or a number is not finite.
        """
        first, masks = len(self._lines), _Masks()
        facts = _Facts(kind)
        for packed in self._packed((facts.noted(layer), masks.add(layer.mask)) for layer in kind.run()):
            self._lines.append(packed.line)
            self.error = max(self.error, packed.error)
        of_layers = [len(self._lines) + index for index in masks.indices]
        self._lines += masks.lines
        assert facts.telling is not None, "there is a layer"
        begun = [] if facts.telling.exact is None else [facts.telling.exact()]
        exact = [(one, self._exact(one.head)) for one in (*kind.exact(), *begun)]
        rows = [(one, self._rows(one)) for one in kind.rows()]
        return PackedKind(
            kind,
            first,
            of_layers,
            facts.sinks,
            facts.metrics,
            facts.patterns,
            facts.last_keys,
            facts.telling,
            exact,
            rows,
        )

    def _packed(self, layers: Iterable[tuple[ReportedLayer, SeenCells]]) -> Iterator[PackedHead]:
        """The heads of the layers, in their order."""
        waiting = deque[list[Future[PackedHead]]]()
        for layer, seen in layers:
            heads = _heads_of(layer, seen)
            waiting.append([self._pool.submit(pack_head, *one, self.bits) for one in heads])
            if len(waiting) > _WAITING:
                yield from (packed.result() for packed in waiting.popleft())
        for futures in waiting:
            yield from (packed.result() for packed in futures)

    def _rows(self, rows: WholeRows) -> int:
        """The line of whole rows."""
        sink = () if rows.sink is None else rows.sink
        self._lines.append(pack_exact(np.concatenate([rows.weights.ravel(), sink]), None))
        return len(self._lines) - 1

    def _exact(self, head: Head) -> dict[Step, int]:
        """The line of each step; two have the same if nothing stands between them, as scores and logits."""
        mask = head.mask if head.mask is not None else np.ones(_size(head), dtype=bool)
        entries, lines = {}, dict[bytes, int]()
        for step, numbers in head.steps.items():
            line = pack_exact(np.asarray(numbers), mask if step.is_pairwise else None)
            if line not in lines:
                lines[line] = len(self._lines)
                self._lines.append(line)
            entries[step] = lines[line]
        return entries


def _size(head: Head) -> tuple[int, int]:
    return len(head.queries), len(head.keys)


def _heads_of(layer: ReportedLayer, seen: SeenCells) -> Iterator[tuple[Weights, SeenCells, Weights | None]]:
    for head, weights in enumerate(layer.weights):
        yield weights, seen, None if layer.sink is None else layer.sink[head]


class _Masks:
    """The different masks of some layers; few models have more than two."""

    def __init__(self) -> None:
        self.indices, self._different = list[int](), list[SeenCells]()

    @property
    def lines(self) -> list[bytes]:
        return [pack_mask(seen.mask) for seen in self._different]

    def add(self, mask: Bits) -> SeenCells:
        """The cells that the mask of the next layer lets the queries see."""
        for index, seen in enumerate(self._different):
            if np.array_equal(seen.mask, mask):
                self.indices.append(index)
                return seen
        self._different.append(SeenCells.of(mask))
        self.indices.append(len(self._different) - 1)
        return self._different[-1]


class _Facts:
    """What is known of the heads of one kind, and the one to begin with."""

    def __init__(self, kind: ReportedKind) -> None:
        self._kind = kind
        self.sinks, self.telling = list[bool](), None
        self.metrics = list[dict[Metric, float | None]]()
        self.patterns = list[PatternShare | None]()
        self.last_keys = list[int]()

    telling: TellingHead | None

    def noted(self, layer: ReportedLayer) -> ReportedLayer:
        """The layer, noted down."""
        self.sinks.append(layer.sink is not None)
        self.metrics += [dict(metrics) for metrics in layer.metrics]
        self.patterns += layer.patterns
        self.last_keys += [int(weights[-1].argmax()) for weights in layer.weights]
        head = self._best(layer)
        if head is not None:
            sink = None if layer.sink is None else layer.sink[head]
            self.telling = TellingHead(
                layer.layer,
                head,
                layer.weights[head],
                layer.mask,
                sink,
                sharpness=layer.sharpness[head],
                clearest=partial(layer.clearest, head),
                exact=partial(layer.exact, head) if self._kind.begins_exact else None,
            )
        return layer

    def _best(self, layer: ReportedLayer) -> int | None:
        """The head of this layer to begin with; None: another layer has it."""
        known = self._kind.known_head
        if known is not None:
            return known[1] if known[0] == layer.layer else None
        head = int(np.argmax(layer.sharpness))
        is_best = self.telling is None or layer.sharpness[head] > self.telling.sharpness
        return head if is_best else None
