"""How long the layers of a long text take, and what is said of it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from attn_cli.errors import AttnError
from attn_cli.models.backend import choose_backend, estimate_operations
from attn_cli.models.random_layer import RandomLayer, open_random_layer
from attn_cli.models.source import SourceRequest
from attn_cli.reading.long_texts import duration
from attn_cli.reading.long_texts.duration import check_duration, remarks_on_duration, seconds_of
from attn_cli.vocabulary import DType
from tests.support.worlds import attn, refused

TEXT = "the cat sat on the mat"
PART = "a part of it, head -c 100000 FILE, or attn survey FILE -o heads.csv, which reads it in windows"


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> RandomLayer:
    monkeypatch.setattr(duration, "granted_cores", lambda: 2)
    return open_random_layer(SourceRequest(), choose_backend("cpu", DType.FLOAT32))


def test_cores_share_the_layers(source: RandomLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    two = seconds_of(source, 3, 1000, 2000)
    assert two == pytest.approx(estimate_operations(source.card.width, 3, 1000, 2000) / 7e10)
    assert seconds_of(source, 1.5, 1000, 2000) == pytest.approx(two / 2)
    monkeypatch.setattr(duration, "granted_cores", lambda: 8)
    assert seconds_of(source, 3, 1000, 2000) == pytest.approx(two / 4)


def test_an_accelerator_is_faster_than_any_number_of_cores(source: RandomLayer) -> None:
    on = replace(source, backend=replace(source.backend, device="cuda:0"))
    assert seconds_of(on, 1, 10**5, 10**5) < seconds_of(source, 1, 10**5, 10**5) / 100


@pytest.mark.parametrize(
    ("seconds", "layers", "said"),
    [
        (9.9, 1, None),
        (10, 0.25, "to run a part of a layer for 9 tokens takes about 10 seconds on 2 cores"),
        (89, 1.25, "to run 1 layer for 9 tokens takes about 89 seconds on 2 cores"),
        (90, 2, "to run 2 layers for 9 tokens takes about 2 minutes on 2 cores"),
        (5399, 30, "to run 30 layers for 9 tokens takes about 90 minutes on 2 cores"),
        (7199, 30, "to run 30 layers for 9 tokens takes about 2 hours on 2 cores"),
        (7201, 30, None),
    ],
)
def test_what_takes_long_is_said_before(
    source: RandomLayer, monkeypatch: pytest.MonkeyPatch, seconds: float, layers: float, said: str | None
) -> None:
    monkeypatch.setattr(duration, "seconds_of", lambda *_: seconds)
    expected = [] if said is None else [f"please wait: {said}"]
    assert list(remarks_on_duration(source, layers, 9, 8)) == expected


def test_what_takes_hours_is_refused(source: RandomLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duration, "seconds_of", lambda *_: 7200.0)
    check_duration(source, 3, 9, 9)
    monkeypatch.setattr(duration, "seconds_of", lambda *_: 12_000.0)
    with pytest.raises(AttnError) as caught:
        check_duration(source, 3, 8, 9)
    said = "to run 3 layers for 9 tokens takes about 3 hours on 2 cores, and the limit is 2 hours"
    assert (caught.value.problem, caught.value.status) == (f"the text is too long: {said}", 1)


@pytest.mark.parametrize(
    "line",
    [
        ("heads",),
        ("heatmap", "-o", "a.png"),
        ("inspect", "--heads", "2.0"),
        ("tokens", "--predict", "2"),
        ("effects",),
        ("inspect", "--as-text", "--heads", "2.0"),
    ],
)
def test_every_command_refuses_hours_and_announces_minutes(
    line: tuple[str, ...], twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words: tuple[str | Path, ...] = (*line, " ".join([TEXT] * 9), "-m", twins / "gpt2")
    monkeypatch.setattr(duration, "_OF_A_CORE", 1.0)
    status, problem, hint = refused(attn(*words))
    assert (status, hint) == (1, PART)
    assert re.match(
        r"the text is too long: to run [123] layers for \d+ tokens takes about \d+ hours", problem
    )
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(duration, "_OF_A_CORE", 1e4)
    answer = attn(*words)
    assert answer.status == 0
    if line[0] != "effects":  # its bar says how far it is
        assert re.search(
            r"^please wait: to run [123] layers for \d+ tokens takes about", answer.err, re.MULTILINE
        )
