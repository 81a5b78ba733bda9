"""A source whose heads have learned sinks: the random layer, with a logit per head, or per head and row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from attn_cli.core.multihead import Attention
from attn_cli.models.backend import choose_backend
from attn_cli.models.random_layer import RandomLayer, open_random_layer
from attn_cli.models.source import Extent, Layer, SourceRequest, Texts
from attn_cli.vocabulary import DType, Kind

Logits = npt.NDArray[np.floating]


class Sinks:
    """The layers of a random source, one for each of `sinks`: (H,), (H, T), or None for a layer without."""

    def __init__(self, *sinks: Logits | None, **request: Any) -> None:
        self._inner = random_layer(**request)
        self._sinks = sinks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def card(self) -> Any:
        """The card of the random layer, with as many layers as there are sinks."""
        return replace(self._inner.card, layers=len(self._sinks))

    @property
    def kinds(self) -> Mapping[Kind, Extent]:
        """One kind, with sinks."""
        (extent,) = self._inner.kinds.values()
        has_sinks = any(sink is not None for sink in self._sinks)
        return {Kind.SELF: Extent(range(len(self._sinks)), extent.heads, has_sinks=has_sinks)}

    def attentions(self, texts: Texts, kind: Kind, layers: Sequence[int]) -> Iterator[Layer]:
        """The same attention in every layer, but for the sinks."""
        (attention,) = self._inner.attentions(texts, kind, [0])
        return (with_sink(attention, self._sinks[layer]) for layer in layers)

    def with_backend(self, _backend: Any) -> "Sinks":
        """The same: it computes with NumPy."""
        return self

    def for_many_texts(self, room: float) -> "Sinks":  # noqa: ARG002
        """The same."""
        return self


def with_sink(attention: Attention, sink: Logits | None) -> Attention:
    """The same attention with these sinks."""
    given = None if sink is None else np.asarray(sink, np.float32)
    return replace(attention, operands=replace(attention.operands, sink=given))


def random_layer(**request: Any) -> RandomLayer:
    """A causal random layer of two heads."""
    fields: dict[str, Any] = {"model": "random", "heads": 2, "width": 16, "is_causal": True} | request
    return open_random_layer(SourceRequest(**fields), NUMPY)


NUMPY = choose_backend("cpu", DType.FLOAT32)
