"""Runs the layers of a reading when they are asked for; in ascending order, each of them runs once."""

from collections import OrderedDict
from collections.abc import Iterator

from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import ShownLayer, shown_layers, unwarned

_KEPT = 4  # layers: their inputs, queries and keys stay in memory


class LayerRun:
    """The layers of a reading; the last few that were asked for are kept."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._kept: OrderedDict[int, ShownLayer] = OrderedDict()
        self._coming: Iterator[ShownLayer] = iter(())
        self._reached = -1

    @unwarned
    def layer(self, number: int) -> ShownLayer:
        """The layer, run up to its attention.

        Raises:
            AttnError: the weights are damaged.
        """
        if number not in self._kept:
            self._keep(self._run_to(number))
        self._kept.move_to_end(number)
        return self._kept[number]

    def _run_to(self, number: int) -> ShownLayer:
        if not -1 < self._reached < number:
            numbers = [layer for layer in self._reading.extent.layers if layer >= number]
            self._coming = shown_layers(self._reading, [(layer, 0) for layer in numbers])
        found = next(layer for layer in self._coming if layer.number == number)
        self._reached = number
        return found

    def _keep(self, layer: ShownLayer) -> None:
        self._kept[layer.number] = layer
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
