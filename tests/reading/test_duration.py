"""How long the layers of a long text take, and what is said of it."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attn_cli.errors import AttnError
from attn_cli.models import cores
from attn_cli.models.backend import estimate_operations
from attn_cli.models.open import open_source
from attn_cli.models.source import SlidingWindow, SourceRequest
from attn_cli.reading.long_texts import duration, length
from attn_cli.reading.long_texts.duration import check_duration, layers_of, remarks_on_duration, seconds_of
from attn_cli.reading.reading import Reading, TextRequest, read
from attn_cli.reading.words.reading import in_words
from attn_cli.vocabulary import Kind
from tests.support.families import TRANSLATORS
from tests.support.readings import reading_of
from tests.support.worlds import attn, refused

TEXT = "the cat sat on the mat"
INSTEAD = (
    "a part of the text, lower layers, a GPU (--device cuda), or attn survey --window 512, which cuts texts"
)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    monkeypatch.setattr(cores, "granted_cores", lambda: 2)
    monkeypatch.setattr(duration, "_SHORT", 0.0)
    return reading_of(TEXT, "random")


def test_cores_share_the_layers(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(reading.tokens)
    two = seconds_of(reading, 3)
    assert two == pytest.approx(estimate_operations(reading.source.card.width, 3, count, count) / 7e10)
    assert seconds_of(reading, 1.5) == pytest.approx(two / 2)
    monkeypatch.setattr(cores, "granted_cores", lambda: 8)
    assert seconds_of(reading, 3) == pytest.approx(two / 4)


def on(reading: Reading, **others: Any) -> Any:
    """A reading of a source that differs in this."""
    source = reading.source
    known = {"card": source.card, "kinds": source.kinds, "backend": source.backend, "narrowest_window": None}
    return SimpleNamespace(kind=reading.kind, texts=reading.texts, source=SimpleNamespace(**known | others))


def test_an_accelerator_does_10_to_the_13_operations_a_second_and_two_of_them_no_more(
    reading: Reading,
) -> None:
    backend = SimpleNamespace(device="cuda:0")
    expected = seconds_of(reading, 2) * 7e10 / 1e13
    assert seconds_of(on(reading, backend=backend), 2) == pytest.approx(expected)
    devices = ("cuda:0", "cuda:1")
    assert seconds_of(on(reading, backend=backend, devices=devices), 2) == pytest.approx(expected)


def test_a_sliding_window_leaves_few_keys(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duration, "_OF_A_CORE", 1.0)
    window, count = SlidingWindow(0, 3), len(reading.tokens)
    expected = estimate_operations(reading.source.card.width, 2, count, 3) / 2
    assert seconds_of(on(reading, narrowest_window=window), 2) == pytest.approx(expected)


@pytest.mark.parametrize("kind", [Kind.DECODER, Kind.CROSS])
def test_a_decoder_needs_the_whole_encoder(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "granted_cores", lambda: 1)
    monkeypatch.setattr(duration, "_SHORT", 0.0)
    TRANSLATORS["bart"].save(tmp_path)
    source = open_source(SourceRequest(str(tmp_path)), {})
    reading = read(source, TextRequest(" ".join([TEXT] * 9), target="the cat", kind=kind))
    given, written = len(reading.texts.tokens), len(reading.texts.target)
    assert given > 4 * written
    width, layers = reading.source.card.width, len(reading.source.kinds[Kind.ENCODER].layers)
    operations = estimate_operations(width, layers, given, given)
    operations += estimate_operations(width, 1, written, given + written)
    assert seconds_of(reading, 1) == pytest.approx(operations / 3.5e10)


def test_words_take_as_long_as_their_tokens(twins: Path) -> None:
    whole = reading_of("unbelievable unbelievable", str(twins / "bert"))
    assert seconds_of(in_words(whole), 2) == seconds_of(whole, 2)


def test_of_the_last_layer_the_chosen_heads_and_rows_count(reading: Reading) -> None:
    assert layers_of([(0, 1)], 4) == 0.25
    assert layers_of([(2, 0), (2, 3), (1, 1)], 4) == 2.5
    assert layers_of([(2, 0)], 4, reading.whole) == 2.25
    few = reading.listed("0-1", None, 1, None)
    assert layers_of([(2, 0)], 4, few) == 2 + 2 / len(reading.tokens) / 4


@pytest.mark.parametrize(
    ("seconds", "layers", "said"),
    [
        (9.9, 1, None),
        (10, 0.25, "running part of a layer on 6 tokens takes about 10 seconds on 2 cores"),
        (89, 1.25, "running 1 layer on 6 tokens takes about 89 seconds on 2 cores"),
        (90, 2, "running 2 layers on 6 tokens takes about 2 minutes on 2 cores"),
        (5401, 30, "running 30 layers on 6 tokens takes about 90 minutes on 2 cores"),
        (7200, 30, "running 30 layers on 6 tokens takes about 120 minutes on 2 cores"),
        (7201, 30, None),
    ],
)
def test_what_takes_long_is_said_before(
    reading: Reading, monkeypatch: pytest.MonkeyPatch, seconds: float, layers: float, said: str | None
) -> None:
    monkeypatch.setattr(duration, "seconds_of", lambda *_: seconds)
    expected = [] if said is None else [f"please wait: {said}"]
    assert list(remarks_on_duration(reading, layers)) == expected


@pytest.mark.parametrize(("seconds", "hours"), [(7200.1, "2.1"), (12_000.0, "3.4"), (61_200.0, "17.0")])
def test_what_takes_hours_is_refused(
    reading: Reading, seconds: float, hours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duration, "seconds_of", lambda *_: 7200.0)
    check_duration(reading, 3)
    monkeypatch.setattr(duration, "seconds_of", lambda *_: seconds)
    with pytest.raises(AttnError) as caught:
        check_duration(reading, 3)
    said = f"running 3 layers on 6 tokens takes about {hours} hours on 2 cores, and the limit is 2 hours"
    assert (caught.value.problem, caught.value.hint) == (f"the text is too long: {said}", INSTEAD)
    assert caught.value.status == 1


LINES: list[tuple[str, ...]] = [
    ("heads",),
    ("heads", "--heads", "2.0"),
    ("heatmap", "-o", "a.png"),
    ("inspect",),
    ("inspect", "--heads", "2.0"),
    ("inspect", "--heads", "2.0", "--rows", "0-1"),
    ("inspect", "--words", "--heads", "2.0"),
    ("inspect", "--as-text", "--heads", "2.0"),
    ("compare", "--heads", "2.0,2.1"),
    ("explain", "--heads", "2.0"),
    ("explain", "--heads", "2.0", "--lesson", "scale"),
    ("tokens", "--predict", "2"),
    ("effects",),
    ("report", "-o", "a.html"),
    ("inspect", "--generate", "2"),
]


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_every_command_refuses_hours_before_a_layer_runs(
    line: tuple[str, ...], twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attn_cli.models.native.transformer import OpenText

    def never(*_: object) -> None:
        raise AssertionError("a layer ran")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(OpenText, "block", never)
    monkeypatch.setattr(duration, "_OF_A_CORE", 1.0)
    status, problem, hint = refused(attn(*line, " ".join([TEXT] * 9), "-m", twins / "gpt2"))
    assert (status, hint) == (1, INSTEAD)
    said = (
        r"the text is too long: running (part of a|1|2|3) layers? on \d+ tokens takes about [\d.]+ hours on"
    )
    assert re.match(said, problem)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line", [one for one in LINES if not {"--generate", "effects", "report"} & {*one}], ids=" ".join
)
def test_what_is_announced_is_not_refused(
    line: tuple[str, ...], twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words: tuple[str | Path, ...] = (*line, " ".join([TEXT] * 9), "-m", twins / "gpt2")
    monkeypatch.setattr(cores, "granted_cores", lambda: 1)
    for speed in (2e3, 4e3, 8e3, 1.6e4, 3.2e4, 6.4e4, 1.28e5):  # from hours to seconds
        monkeypatch.setattr(duration, "_OF_A_CORE", speed)
        answer = attn(*words)
        is_announced = "please wait: running " in answer.err
        assert is_announced == (answer.status == 0), answer.err


@pytest.mark.parametrize("kind", ["inspect", "heads"])
def test_a_model_runs_on_a_number_of_tokens(kind: str, twins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = (kind, TEXT, "-m", twins / "llama")
    count = len(reading_of(TEXT, str(twins / "llama")).tokens)
    monkeypatch.setattr(length, "MOST_TOKENS", count)
    assert attn(*line).status == 0
    monkeypatch.setattr(length, "MOST_TOKENS", count - 1)
    assert (
        refused(attn(*line))[1]
        == f"the text is too long: {count} tokens, and a model runs on at most {count - 1}"
    )
    assert attn("tokens", *line[1:]).status == 0  # no layer runs


def test_more_tokens_than_a_model_runs_on_are_listed(
    twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(length, "MOST_TOKENS", 1000)
    (tmp_path / "a.txt").write_text("x" * (length.LONG + 1))  # such texts are read in another way
    answer = attn("tokens", "--file", tmp_path / "a.txt", "-m", twins / "llama", "--json")
    assert len(answer.document["tokens"]) > length.LONG
