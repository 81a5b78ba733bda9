"""A reading of a twin, and the layers of it that run."""

from pathlib import Path

import pytest

from attn_cli.core.multihead import MultiHeadAttention
from attn_cli.models.native import transformer
from attn_cli.reading.reading import Reading
from tests.support.readings import reading_of

TEXT = "the cat sat on the mat"


@pytest.fixture
def reading(twins: Path) -> Reading:
    return reading_of(TEXT, str(twins / "gpt2"))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The layers whose weights were read."""
    layers: list[int] = []
    read = vars(transformer.Transformer)["self_attention"]

    def spied(self: transformer.Transformer, layer: int, *rest: object) -> MultiHeadAttention:
        layers.append(layer)
        found: MultiHeadAttention = read(self, layer, *rest)
        return found

    monkeypatch.setattr(transformer.Transformer, "self_attention", spied)
    return layers
