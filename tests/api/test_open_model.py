"""The library: what Python gets is what the commands print."""

import json
import re
import warnings
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import attn_cli
from attn_cli import open_model
from attn_cli.api import layer_run
from attn_cli.api.reading import ModelReading
from attn_cli.errors import AttnError, UsageError
from attn_cli.reading.steps import shown_layers
from attn_cli.vocabulary import Step
from tests.support.families import TRANSLATORS
from tests.support.worlds import attn

TEXT = "the cat sat on the mat and slept"
HOSTILE = "<script>alert(1)</script> & <b>'\"\u202e\x1b[31m"


@pytest.fixture(scope="module")
def reading() -> ModelReading:
    return open_model().read(TEXT)


def entries(*arguments: str | Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = attn("inspect", *arguments, "--json").document["attention"]
    return found


def test_every_step_is_that_of_the_command(reading: ModelReading) -> None:
    (entry,) = entries(TEXT, "--heads", "2.6", *[word for step in Step for word in ("-s", step)])
    head = reading.head(2, 6)
    assert {*entry["steps"]} == {*Step} - {Step.BIAS}
    for step, numbers in entry["steps"].items():
        expected = np.array(numbers, dtype=np.float64)
        found = np.where(np.isneginf(head.step(step)), np.nan, head.step(step))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
        assert getattr(head, step.replace("-", "_")) is head.step(step)
    assert (head.name, head.kv_head) == ("2.6", entry["kv_head"])
    assert head.scale == pytest.approx(entry["scale"])


def test_weights_are_those_of_transformers(twin: Path) -> None:
    model = transformers.AutoModel.from_pretrained(twin, attn_implementation="eager")
    reading = open_model(str(twin)).read(TEXT)
    ids = torch.tensor([[token.id for token in reading.tokens]])
    with torch.no_grad():
        expected = model(ids, output_attentions=True).attentions
    heads = list(reading.heads())
    assert len(heads) == len(expected) * expected[0].shape[1]
    for head in heads:
        theirs = expected[head.layer][0, head.head].numpy()
        np.testing.assert_allclose(head.weights, theirs, atol=1e-5)


def test_rows_columns_and_hidden_keys_are_selected_as_on_the_command_line(reading: ModelReading) -> None:
    typed = ("--rows", "the@2,-1", "--columns", "1-", "--hide", "cat", "--renormalize", "-s", "weights")
    (entry,) = entries(TEXT, "--heads", "2.6", *typed)
    head = reading.head(2, 6, rows="the@2,-1", columns="1-", hide=2, renormalize=True)
    np.testing.assert_allclose(head.weights, entry["steps"]["weights"], rtol=1e-6)
    assert head.weight_of_hidden is not None
    np.testing.assert_allclose(head.weight_of_hidden, entry["hidden"]["weight"], rtol=1e-6)
    assert [token.position for token in head.query_tokens] == entry["queries"] == [5, 8]
    assert [token.position for token in head.key_tokens] == entry["keys"] == [1, 3, 4, 5, 6, 7, 8]
    same = reading.head(-2, -2, rows=[5, -1], columns=range(1, 9), hide=[2], renormalize=True)
    np.testing.assert_array_equal(same.weights, head.weights)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
@pytest.mark.parametrize("rows", [None, "-1", "1-4"])
def test_metrics_are_as_exact_as_the_weights(dtype: str, tolerance: float, rows: str | None) -> None:
    """The entropy, the distance, and what the first two keys get, from the weights of every head."""
    reading = open_model(dtype=dtype).read(TEXT)
    metrics = reading.metrics(rows=rows, on="0,1")
    for head in reading.heads():
        chosen = (
            slice(None)
            if rows is None
            else [token.position for token in reading.head(0, 0, rows=rows).query_tokens]
        )
        weights = head.weights[chosen].astype(np.float64)
        places = np.arange(len(head.weights))
        distance = np.abs(places[chosen, None] - places)
        expected = {
            "entropy": -(weights * np.log(np.where(weights > 0, weights, 1))).sum(axis=-1),
            "distance": (weights * distance).sum(axis=-1),
            "on": weights[:, :2].sum(axis=-1),
        }
        for name, of_rows in expected.items():
            found = metrics[name][head.layer, head.head]
            assert found == pytest.approx(of_rows.mean(), rel=tolerance, abs=tolerance)


def test_metrics_are_those_of_the_command(reading: ModelReading) -> None:
    fields = attn("heads", TEXT, "--hide", "first", "--json").document["heads"]
    metrics = reading.metrics(hide="first")
    assert {"entropy", "hidden", "induction"} <= {*metrics.names} <= {*fields[0]}
    for name in metrics.names:
        expected = np.full((4, 8), np.nan)
        for head in fields:
            expected[head["layer"], head["head"]] = np.nan if head[name] is None else head[name]
        np.testing.assert_allclose(metrics[name], expected, rtol=1e-6)
    found = {share["name"] for head in fields for share in head["patterns"]}
    assert metrics.patterns.shape == (4, 8)
    assert {*metrics.patterns.flat} <= {None, *found}


def test_metrics_of_chosen_rows_are_those_of_the_command(reading: ModelReading) -> None:
    fields = attn("heads", TEXT, "--rows", "5,-1", "--on", "0-1", "--json").document["heads"]
    metrics = reading.metrics(rows="5,-1", on=[0, 1])
    assert {"entropy", "on", "induction"} <= {*metrics.names} <= {*fields[0]}
    for name in metrics.names:
        expected = [np.nan if head[name] is None else head[name] for head in fields]
        np.testing.assert_allclose(metrics[name].ravel(), expected, rtol=1e-6)
    assert {*metrics.patterns.flat} == {None}
    with pytest.raises(UsageError, match="may look at no key of --on"):
        reading.metrics(rows=1, on=5)


def test_cross_attention_has_the_tokens_of_both_texts(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    model = open_model(str(tmp_path))
    assert model.kinds == ("encoder", "decoder", "cross")
    read = model.read("the cat sat", target="the mat was cross", kind="cross")
    head = read.head(1, 0)
    assert head.weights.shape == (len(read.query_tokens), len(read.key_tokens))
    line = ("the cat sat", "--target", "the mat was cross", "--kind", "cross", "-m", tmp_path)
    (entry,) = entries(*line, "--heads", "1.0", "-s", "weights")
    np.testing.assert_allclose(head.weights, entry["steps"]["weights"], rtol=1e-6)


def test_a_layer_runs_once_in_ascending_order(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[int]] = []

    def counted(reading: Any, places: Any) -> Any:
        started.append([layer for layer, _ in places])
        return shown_layers(reading, places)

    monkeypatch.setattr(layer_run, "shown_layers", counted)
    reading = open_model().read(TEXT)
    forward = [reading.head(layer, head).weights for layer in range(4) for head in range(8)]
    assert started == [[0, 1, 2, 3]]
    again = [reading.head(layer, 0).weights for layer in (3, 1, 2, 1)]
    for layer, weights in zip((3, 1, 2, 1), again, strict=True):
        np.testing.assert_array_equal(weights, forward[8 * layer])


def test_earlier_layers_run_again_once_they_are_forgotten(
    monkeypatch: pytest.MonkeyPatch, reading: ModelReading
) -> None:
    monkeypatch.setattr(layer_run, "_KEPT", 1)
    own = open_model().read(TEXT)
    for layer in (2, 0, 3, 1, 1, 2):
        np.testing.assert_array_equal(own.head(layer, 5).output, reading.head(layer, 5).output)


def test_float64_stays_float64() -> None:
    weights = open_model(dtype="float64").read(TEXT).head(0, 0).weights
    assert weights.dtype == np.float64
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-15)


@pytest.mark.parametrize(
    ("call", "kind", "problem"),
    [
        (lambda r: r.head(4, 0), UsageError, "layer 4 does not exist: storybook has 4, numbered 0 to 3"),
        (lambda r: r.head(0, 8), UsageError, "head 8 does not exist: storybook has 8, numbered 0 to 7"),
        (lambda r: r.head(0, 0, rows="dog"), UsageError, f"'dog' is not a word of the text: {TEXT}"),
        (lambda r: r.head(0, 0, rows=[]), UsageError, "'' selects no row"),
        (lambda r: r.head(0, 0, columns=99), UsageError, "column 99 does not exist"),
        (lambda r: r.head(0, 0, renormalize=True), UsageError, "--renormalize divides rows by what --hide"),
        (lambda r: r.head(0, 0, hide="all"), UsageError, "--hide all leaves nothing to see"),
        (lambda r: r.head(0, 0, hide=1, columns=1), UsageError, "hide leaves nothing to see of the chosen"),
        (lambda r: r.head(0, 0).step("wieghts"), UsageError, "unknown step: 'wieghts'"),
        (lambda r: r.head(0, 0).bias, AttnError, "storybook has no bias: the layer adds no position bias"),
        (lambda r: r.metrics()["entrpy"], UsageError, "there is no metric 'entrpy' of this text"),
        (lambda _: open_model(dtype="int8"), UsageError, "unknown number format: 'int8'"),
        (lambda _: open_model().read(TEXT, kind="crss"), UsageError, "unknown kind of attention: 'crss'"),
        (lambda _: open_model().read(TEXT, pair="x"), UsageError, "storybook does not take a second text"),
    ],
)
def test_what_is_not_there_is_refused(
    reading: ModelReading, call: Any, kind: type[AttnError], problem: str
) -> None:
    with pytest.raises(kind) as caught:
        call(reading)
    assert str(caught.value).startswith(problem)
    assert caught.value.hint


def test_what_limits_a_reading_is_a_warning() -> None:
    with pytest.warns(UserWarning, match="storybook runs with --no-causal"):
        open_model(causal=False).read(TEXT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_model().read(TEXT)


class _Cells(HTMLParser):
    """The text of the cells of a table, row by row, and every tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.caption = ""
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, _attributes: Any) -> None:
        self.tags.add(tag)
        self._open = self._open if tag == "bdi" else tag
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._open == "caption":
            self.caption += data
        else:
            self.rows[-1][-1] += data


def test_a_notebook_shows_the_weights(reading: ModelReading) -> None:
    head = reading.head(2, 6, hide="first")
    table = _Cells(head._repr_html_())
    assert table.caption == "storybook · weights 2.6"
    assert table.rows[0] == [
        "",
        "1 the",
        "2 cat",
        "3 sat",
        "4 on",
        "5 the",
        "6 mat",
        "7 and",
        "8 slept",
        "hidden",
    ]
    for row, weights, mask in zip(table.rows[1:], head.weights, head.mask, strict=True):
        expected = [f"{w:.2f}" if seen else "·" for w, seen in zip(weights, mask, strict=True)]
        assert row[1:-1] == expected
    assert head.weight_of_hidden is not None
    assert [row[-1] for row in table.rows[1:]] == [f"{w:.2f}" for w in head.weight_of_hidden]


def test_a_notebook_shows_the_largest_weights_of_a_long_text() -> None:
    head = open_model().read("one two three four five " * 10).head(2, 6)
    table = _Cells(_table_of(head._repr_html_()))
    total = len(head.query_tokens)
    assert total > 40
    assert f"the 8 largest of {total} weights of each row" in table.caption
    assert f"the first 40 of {total} rows" in table.caption
    assert len(table.rows) == 40
    best = int(head.weights[39].argmax())
    assert table.rows[39][1].startswith(f"{best} ")
    assert table.rows[39][1].endswith(f"{head.weights[39, best]:.2f}")


def _table_of(shown: str) -> str:
    """The table beside the frame."""
    return shown[shown.rindex("<table") : shown.rindex("</details>")]


def test_hostile_tokens_are_text_in_a_notebook() -> None:
    shown = open_model().read(HOSTILE).head(0, 0)._repr_html_()
    assert _Cells(_table_of(shown)).tags == {"table", "caption", "tr", "td", "th", "bdi"}
    assert not {"\x1b", "\u202e"} & {*shown}
    assert shown.count("<iframe") == shown.count("</iframe>") == 1
    assert shown[: shown.index('srcdoc="')].count(">") == 0
    _, _, rest = shown.partition('srcdoc="')
    assert rest.partition('"')[2].startswith("></iframe><details>")  # no quote ends the page early


def test_a_head_shows_itself_as_a_frame_of_its_layer(reading: ModelReading) -> None:
    about = _about(reading.head(2, 6)._repr_html_())
    (kind,) = about["kinds"]
    assert (kind["layers"], kind["heads"]) == ([2], 8)
    assert (about["begin"]["layer"], about["begin"]["head"]) == (2, 6)


def test_a_reading_shows_the_head_that_inspect_shows(reading: ModelReading) -> None:
    shown = attn("inspect", TEXT, "--json").document["attention"][0]
    begin = _about(reading._repr_html_())["begin"]
    assert (begin["layer"], begin["head"]) == (shown["layer"], shown["head"])


def test_a_frame_runs_scripts_and_nothing_else(reading: ModelReading) -> None:
    shown = reading.head(2, 6)._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts" title="storybook · weights 2.6" ')


@pytest.mark.parametrize("chosen", [{"rows": "0-3"}, {"columns": "0-3"}, {"hide": "first"}])
def test_chosen_rows_are_a_table_alone(reading: ModelReading, chosen: dict[str, Any]) -> None:
    assert reading.head(2, 6, **chosen)._repr_html_().startswith("<table")


@pytest.mark.parametrize(("tokens", "is_framed"), [(512, True), (513, False)])
def test_texts_of_up_to_512_tokens_are_framed(tokens: int, is_framed: bool) -> None:
    shown = open_model("random").read("a " * tokens).head(0, 0)._repr_html_()
    assert shown.startswith("<iframe") is is_framed


def _about(shown: str) -> dict[str, Any]:
    """The metadata of the page in a frame."""
    page = unescape(shown)
    (block,) = re.findall(r'<script type="application/json" id="about">(.*)</script>', page)
    found: dict[str, Any] = json.loads(block)
    return found


def test_the_library_says_what_its_objects_are(reading: ModelReading) -> None:
    assert repr(open_model()) == "<Model storybook: gpt2, 4 layers × 8 heads>"
    assert repr(reading) == "<ModelReading of storybook: self attention, 9 × 9 tokens>"
    assert repr(reading.head(2, 6, rows=[1, 2])) == "<ShownHead 2.6 of storybook: 2 × 9 tokens>"
    assert repr(reading.metrics()).startswith("<HeadMetrics of 4 × 8 heads: entropy, ")
    assert (reading.text, reading.kind, reading.tokens) == (TEXT, "self", reading.query_tokens)
    assert attn_cli.open_model is open_model
