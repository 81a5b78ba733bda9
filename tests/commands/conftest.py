"""What tests of several commands start from: a model with learned sinks, and the drawings that are made."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.show.picture import page
from attn_cli.show.picture.marks import Drawing
from tests.support.documents import Model
from tests.support.sinks import Sinks

Numbers = npt.NDArray[np.floating]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """Makes commands read a model with these sinks, one array or None per layer."""

    def use(*sinks: Numbers | None, **request: Any) -> None:
        source = Sinks(*sinks, **request)
        monkeypatch.setattr("attn_cli.models.open.open_source", lambda *_, **__: source)

    return use


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> list[Drawing]:
    """The drawings that commands make; their files are empty."""
    made = list[Drawing]()

    def paged(*given: Any, **more: Any) -> Drawing:
        made.append(page(*given, **more))
        return made[-1]

    monkeypatch.setattr("attn_cli.show.picture.page", paged)
    monkeypatch.setattr("attn_cli.show.picture.render", lambda *_: b"")
    return made
