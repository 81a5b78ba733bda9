"""Where one layer looks while transformers writes: its attention at the last token, in each step."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch  # 1.7 s: imported only by modules that need it anyway

from attn_cli.errors import AttnError
from attn_cli.models.bridge.capture import AttentionRecord, AttentionRecorder, ModulePlace, recording
from attn_cli.models.bridge.captured_layer import build_layer
from attn_cli.models.source import WatchedLayer
from attn_cli.record import record
from attn_cli.vocabulary import Kind


@record(frozen=True, slots=True, eq=False)
class WatchedPlaces:
    """Where the attention of a layer runs in the model without its head."""

    name: str  # of the model
    kind: Kind
    layer: int
    keys: Collection[ModulePlace]
    whole: Any  # the model without its head, or its sketch
    kv_heads: int

    def part_of(self, model: torch.nn.Module) -> torch.nn.Module:
        """The part of a model with a head that has the same modules under the same names.

        Raises:
            AttnError: there is none.
        """
        own = dict(self.whole.named_modules())
        names = {name for trail, _ in self.keys for name in trail if name}
        for part in model.modules():
            there = dict(part.named_modules())
            if all(name in there and type(there[name]) is type(own[name]) for name in names):
                return part
        raise self.not_known(f"layer {self.layer} is not found in {type(model).__name__}")

    def not_known(self, why: str) -> AttnError:
        """The error where no attention can be shown, with the reason."""
        problem = f"where {self.name} looks while it writes is not known: {why}"
        return AttnError(problem, "leave out --watch: the rows of new tokens can be shown afterwards")


class WatchedAttention:
    """The attention of one layer, as transformers computes it with or without a cache."""

    def __init__(self, places: WatchedPlaces, texts: tuple[int, int], most: int) -> None:
        """`texts`: how many tokens the encoder has read, or 0, and how many the text has that goes on."""
        self._places = places
        self._encoded, first = texts
        lengths = range(1, first + most + 1)
        shapes = [(rows, keys) for length in lengths for rows, keys in ((1, length), (length, length))]
        if places.kind is Kind.CROSS:
            shapes = [(length, self._encoded) for length in lengths]
        self._recorder = AttentionRecorder(shapes, places.keys.__contains__)

    @contextmanager
    def watching(self, model: torch.nn.Module) -> Iterator[None]:
        """Watch it while the model runs inside the block."""
        with recording(self._places.part_of(model), self._recorder):
            yield

    def now(self, length: int) -> WatchedLayer:
        """The layer as it ran last, for the last of the `length` tokens that were read.

        Raises:
            AttnError: it was not observed.
        """
        found = [each for each in self._recorder.records if each.is_kept]
        self._recorder.restart()
        if not found:
            raise self._places.not_known(f"layer {self._places.layer} computed nothing that is a matrix")
        attention = found[0]
        _, rows, keys = attention.size
        layer = build_layer(attention, self._places.kv_heads).at([rows - 1])
        return WatchedLayer(layer, self._first_key(attention, keys, length))

    def _first_key(self, attention: AttentionRecord, keys: int, length: int) -> int:
        """The position of its first key: the cache of a sliding window forgets those before the window."""
        if self._places.kind is Kind.CROSS:
            return 0
        if keys > length or (keys < length and attention.call is None):
            raise self._places.not_known(f"layer {self._places.layer} has {keys} keys for {length} tokens")
        return length - keys
