"""A model is opened once, reads many texts, and is reopened in other processes."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from attn_cli.models import open as opening
from attn_cli.models.backend import torch_backend
from attn_cli.models.bridge import bridge
from attn_cli.models.files import config, safetensors_file
from attn_cli.models.source import Source, SourceRequest
from attn_cli.reading.reading import TextRequest, read
from attn_cli.reading.steps import head_steps
from attn_cli.vocabulary import DType, Step
from tests.conftest import TWINS
from tests.support.every_type import save_twin

TEXT = "the cat sat on the mat"


def weights_of(source: Source, text: str = TEXT) -> list[list[float]]:
    """The weights of head 0.1, as plain numbers that can be pickled."""
    (head,) = head_steps(read(source, TextRequest(text)), [(0, 1)], (Step.WEIGHTS,))
    weights: list[list[float]] = np.asarray(head.steps[Step.WEIGHTS]).tolist()
    return weights


@pytest.fixture(params=["gpt2", "storybook", "random"])
def request_of(request: pytest.FixtureRequest, twins: Path) -> SourceRequest:
    kind = str(request.param)
    model = {"gpt2": str(twins / "gpt2"), "storybook": None, "random": "random"}[kind]
    return SourceRequest(
        model, is_causal=True if kind == "random" else None, seed=3 if kind == "random" else 0
    )


def test_a_source_that_is_sent_is_opened_again_from_its_request(request_of: SourceRequest) -> None:
    source = opening.open_source(request_of)
    again = pickle.loads(pickle.dumps(source))  # noqa: S301  its own bytes
    assert (type(again), again.request, again.card) == (type(source), source.request, source.card)
    assert weights_of(again) == weights_of(source)


def test_another_process_computes_the_same(twins: Path) -> None:
    source = opening.open_source(SourceRequest(str(twins / "llama")))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(weights_of, source).result() == weights_of(source)


def test_two_texts_open_a_model_once(twins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    read_json = config.read_json

    def counted(path: Path) -> dict[str, object]:
        opened.append(path)
        return read_json(path)

    monkeypatch.setattr(config, "read_json", counted)
    source = opening.open_source(SourceRequest(str(twins / "gpt2")), {})
    assert len({len(weights_of(source, text)) for text in (TEXT, "a mat")}) == 2
    assert len(opened) == 1


@pytest.fixture(params=["bert", "xlnet"], ids=["ours", "bridge"])
def source(request: pytest.FixtureRequest, twins: Path, tmp_path: Path) -> Source:
    kind = str(request.param)
    if kind not in TWINS:
        save_twin(kind, tmp_path)
    return opening.open_source(SourceRequest(str(twins / kind if kind in TWINS else tmp_path)), {})


def test_another_backend_opens_no_file_again(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.check()
    kinds = source.kinds

    def unread(path: Path, **_: object) -> None:
        raise AssertionError(path)

    monkeypatch.setattr(config, "read_json", unread)
    monkeypatch.setattr(safetensors_file, "map_file", unread)
    monkeypatch.setattr(bridge, "read_config", unread)
    monkeypatch.setattr(bridge, "build_sketch", unread)
    other = source.with_backend(torch_backend("cpu", DType.FLOAT32))
    other.check()
    assert (other.kinds, other.backend.name) == (kinds, "torch")
