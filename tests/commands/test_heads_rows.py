"""`attn heads --rows --on`: the metrics of some queries, and the weight on some keys."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.core.attention import Operands
from attn_cli.core.multihead import Attention
from attn_cli.core.streaming import row_metrics
from attn_cli.core.streaming.stream import summarise
from attn_cli.models.source import Layer
from attn_cli.vocabulary import Metric
from tests.support.documents import document
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.sinks import Sinks
from tests.support.worlds import attn, refused

TEXT = "the cat sat on the mat and the cat slept on it"
WORDS = [
    "the",
    "little",
    "cat",
    "sat",
    "on",
    "it",
    "and",
    "slept",
    "while",
    "a",
    "dog",
    "ran",
    "to",
    "the",
    "red",
    "house",
    "of",
    "Tom",
]
CARD = "names come from the model's card; from this text: --no-probe"
WITHOUT_NAMES = (
    "heads have no names: these rows alone give none; attn heads --probe names the heads for any text, "
    "--no-probe by all rows of this one"
)

Numbers = npt.NDArray[np.floating]


def expected_of(whole: dict[str, Any], entry: dict[str, Any], on: list[int]) -> dict[str, float | None]:
    """The metrics of some rows of a head, from their weights over all keys, as the glossary defines them."""
    weights, queries = np.array(entry["steps"]["weights"], float), np.array(entry["queries"])
    is_cross = entry["kind"] == "cross"
    keys = whole["tokens"] if entry["kind"] != "decoder" else whole["target_tokens"]
    mask = np.array(entry["steps"]["mask"], bool)
    ids, special = np.array([key["id"] for key in keys]), np.array([key["special"] for key in keys])
    places, chosen = np.arange(len(keys)), np.isin(np.arange(len(keys)), on)
    later = np.ones(len(queries), bool) if is_cross else queries > 0
    found = {
        "entropy": mean(-(weights * np.log(np.where(weights > 0, weights, 1))).sum(axis=-1)),
        "largest": mean(weights.max(axis=-1)),
        "on": over(weights, chosen[None] & mask),
        "first-token": over(weights, (places == 0)[None] & mask, later),
        "special": over(weights, special[None] & mask, later),
        "received": float(weights.sum(axis=0).max() / len(queries)),
    }
    if is_cross:
        return found
    back = queries[:, None] - places
    copies = (ids[queries][:, None] == ids) & (back > 0)
    followers = np.zeros_like(copies)
    followers[:, 1:] = copies[:, :-1] & (back[:, 1:] > 0)
    return found | {
        "distance": mean((weights * abs(back)).sum(axis=-1)),
        "current-token": over(weights, (back == 0) & mask, later),
        "previous-token": over(weights, (back == 1) & mask, later),
        "duplicate-token": over(weights, copies & mask),
        "induction": over(weights, followers & mask),
    }


def mean(numbers: Numbers) -> float | None:
    return float(numbers.mean()) if numbers.size else None


def over(weights: Numbers, cells: npt.NDArray[np.bool_], rows: Any = True) -> float | None:
    """The mean weight on the cells, over the rows that have one."""
    counted = cells.any(axis=-1) & rows
    return mean((weights * cells).sum(axis=-1)[counted])


def same_as_matrices(*line: str | Path, rows: str, on: str) -> None:
    found = document("heads", *line, "--rows", rows, "--on", on)
    whole = attn("inspect", *line, "-l", "all", "-s", "weights,mask", "--rows", rows, "--json").document
    assert found["rows"] == whole["attention"][0]["queries"]
    for head, entry in zip(found["heads"], whole["attention"], strict=True):
        assert (head["layer"], head["head"]) == (entry["layer"], entry["head"])
        for metric, value in expected_of(whole, entry, found["on"]).items():
            scale = len(whole["tokens"]) if metric == "distance" else 1
            # float32: sums of up to 2,000 weights, and of logits of up to 20
            assert head[metric] == (value if value is None else pytest.approx(value, abs=1e-6 * scale)), (
                metric
            )


def long_text(words: int) -> str:
    """Words in an order that has no period."""
    return " ".join(WORDS[number * number % 17 * number % len(WORDS)] for number in range(words))


@pytest.mark.parametrize("rows", ["-1", "it@3", "first", "cat@2,200-209,-1"])
def test_a_full_text_of_storybook_has_the_metrics_of_full_matrices(rows: str) -> None:
    same_as_matrices(long_text(490), rows=rows, on="0-40,slept@2")


@pytest.mark.parametrize(("rows", "on"), [("-1", "-9,-2"), ("1990-1999", "1500-1999")])
def test_a_text_of_2000_tokens_has_the_metrics_of_full_matrices(rows: str, on: str, tmp_path: Path) -> None:
    FAMILIES["mistral"].save(tmp_path)
    same_as_matrices(long_text(2000), "-m", tmp_path, rows=rows, on=on)


@pytest.mark.parametrize(
    "family", ["gpt2", "bert", "llama", "mistral", "gemma2", "bloom", "mpnet", "modernbert", "deberta-v2"]
)
@pytest.mark.parametrize("rows", ["-1", "cat", "0-2,5"])
def test_any_model_has_the_metrics_of_full_matrices(
    family: str, rows: str, twins: Path, tmp_path: Path
) -> None:
    if family in FAMILIES:
        FAMILIES[family].save(tmp_path)
    model = tmp_path if family in FAMILIES else twins / family
    same_as_matrices(TEXT, "-m", model, rows=rows, on="first,sat,it")


@pytest.mark.parametrize(
    ("kind", "rows", "on"), [("cross", "mat", "cat"), ("decoder", "-1", "mat"), ("encoder", "sat", "cat")]
)
def test_each_kind_of_an_encoder_decoder_selects_queries_and_keys_in_its_own_text(
    kind: str, rows: str, on: str, tmp_path: Path
) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    target = ("--target", "the mat was tired")
    same_as_matrices("the cat sat", *target, "-m", tmp_path, "--kind", kind, rows=rows, on=on)


def test_words_are_chosen_as_rows_and_keys() -> None:
    line = ("The animal slept because it was tired", "--words", "--rows", "animal,it")
    found = document("heads", *line, "--on", "animal,slept")
    assert (found["rows"], found["on"]) == ([2, 5], [2, 3])
    whole = attn("inspect", *line, "-l", "all", "--json").document
    for head, entry in zip(found["heads"], whole["attention"], strict=True):
        weights = np.array(entry["steps"]["weights"], float)
        assert head["on"] == pytest.approx(weights[:, 2:4].sum(axis=-1).mean(), abs=1e-6)
        assert head["received"] == pytest.approx(weights.sum(axis=0).max() / 2, abs=1e-6)
        assert head["previous-token"] == pytest.approx(weights[[0, 1], [1, 4]].mean(), abs=1e-6)


def test_both_texts_of_a_pair_are_searched(twins: Path) -> None:
    same_as_matrices("the cat sat", "--pair", "on the mat", "-m", twins / "bert", rows="mat", on="cat")


def sinks(monkeypatch: pytest.MonkeyPatch, *of_layers: Numbers | None) -> None:
    """Makes commands read a model with these learned sinks."""
    source = Sinks(*of_layers)
    monkeypatch.setattr("attn_cli.models.open.open_source", lambda *_, **__: source)


def test_a_learned_sink_takes_weight_from_the_keys_of_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sinks(monkeypatch, np.array([1.0, -2.0]), None)
    found = document("heads", TEXT, "--rows", "-1", "--on", "all")["heads"]
    assert [head["on"] + (head["sink"] or 0) for head in found] == pytest.approx([1] * 4, abs=1e-6)
    assert found[0]["sink"] > 0
    assert found[2]["sink"] is None


def test_rows_and_keys_stand_in_json_and_above_the_map_and_the_map_is_of_on() -> None:
    found = document("heads", TEXT, "--rows", "cat", "--on", "0-1")
    assert (found["rows"], found["on"]) == ([2, 9], [0, 1])
    assert found["names"] == {"from": "card"}
    answer = attn("heads", TEXT, "--rows", "cat", "--on", "0-1")
    lines = answer.out.splitlines()
    assert "rows: 2 cat  9 cat" in lines
    assert "on: 0 <s>  1 the" in lines
    assert any(line.startswith("on, layer × head · 4 × 8 · range 0 to ") for line in lines)
    table = answer.out.partition("\nhead ")[2].splitlines()
    assert table[0].split()[:5] == ["pattern", "score", "rows", "also", "on"]
    best = max(found["heads"], key=lambda head: head["on"])
    assert table[2].split()[0] == f"{best['layer']}.{best['head']}"
    assert answer.err.splitlines()[1:] == [CARD, "metrics are those of these 2 rows alone"]


def test_without_a_choice_there_is_neither_on_nor_rows() -> None:
    found = document("heads", TEXT)
    assert not {"on", "rows"} & {*found, *found["metrics"]}


def test_on_alone_counts_the_rows_that_may_look_at_one_of_the_keys() -> None:
    (head,) = document("heads", TEXT, "--on", "5,9", "--heads", "1.7")["heads"]
    (entry,) = attn("inspect", TEXT, "--heads", "1.7", "-s", "weights", "--json").document["attention"]
    weights = np.array(entry["steps"]["weights"], float)
    assert head["on"] == pytest.approx(weights[5:, [5, 9]].sum(axis=-1).mean(), abs=1e-6)


@pytest.mark.parametrize("more", [(), ("--renormalize",)], ids=str)
def test_hidden_keys_add_nothing_to_on_and_nearer_hidden_keys_leave_a_row_that_counts(
    more: tuple[str, ...],
) -> None:
    line = (TEXT, "--heads", "1.7", "--hide", "first,5", *more)
    (head,) = document("heads", *line, "--rows", "7-9", "--on", "0,3,5")["heads"]
    (entry,) = attn("inspect", *line, "-s", "weights", "--rows", "7-9", "--json").document["attention"]
    column = entry["keys"].index(3)
    weights = np.array(entry["steps"]["weights"], float)
    assert head["on"] == pytest.approx(weights[:, column].mean(), abs=1e-6)
    assert head["hidden"] == pytest.approx(np.mean(entry["hidden"]["weight"]), abs=1e-6)


def test_all_rows_are_measured_as_without_rows() -> None:
    whole, chosen = (document("heads", TEXT, *more)["heads"] for more in ((), ("--rows", "all")))
    for one, other in zip(whole, chosen, strict=True):
        for metric in set(Metric) & set(one):
            # of all rows the sums are float32 and logits up to 30, of which the entropy is a difference
            assert one[metric] == pytest.approx(other[metric], abs=3e-5), metric


def test_few_rows_are_measured_as_many_are(monkeypatch: pytest.MonkeyPatch) -> None:
    line = ("heads", TEXT, "--rows", "3-9", "--on", "2-4")
    exact = document(*line)["heads"]
    monkeypatch.setattr("attn_cli.core.streaming.row_metrics._FEW", 0)
    for one, other in zip(exact, document(*line)["heads"], strict=True):
        for metric in set(Metric) & set(one):
            assert one[metric] == pytest.approx(other[metric], abs=3e-5), metric  # likewise


@pytest.mark.parametrize(("limit", "blocks"), [(1 << 22, 0), (8 * 7 * 13 - 1, 4)])
def test_rows_whose_weights_are_too_many_are_measured_in_blocks(
    limit: int, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def counted(*given: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        return summarise(*given, **more)

    monkeypatch.setattr(row_metrics, "summarise", counted)
    monkeypatch.setattr(row_metrics, "_FEW", limit)
    document("heads", TEXT, "--rows", "3-9")
    assert calls == blocks


@pytest.mark.parametrize(("rows", "are_few"), [(2048, True), (2049, False)])
def test_4_million_weights_are_few(rows: int, are_few: bool) -> None:
    keys = np.ones((1, 2048, 1), np.float32)
    assert row_metrics.are_few(Operands(np.ones((1, rows, 1), np.float32), keys, keys, 1.0)) == are_few


def test_only_the_chosen_rows_are_measured(monkeypatch: pytest.MonkeyPatch, twins: Path) -> None:
    measured: list[int] = []
    measure = Attention.measure

    def spied(self: Attention, *given: Any, **more: Any) -> Any:
        measured.append(int(self.operands.queries.shape[-2]))
        return measure(self, *given, **more)

    monkeypatch.setattr(Attention, "measure", spied)
    line = ("heads", TEXT, "-m", twins / "gpt2", "--rows", "2,5")
    found = document(*line)
    assert set(measured) == {2}
    assert found["names"] == {"from": None}
    for asks in (("--no-probe",), ("--where", "pattern=none"), ("--sort", "score")):
        measured.clear()
        assert document(*line, *asks)["names"] == {"from": "text"}
        assert set(measured) == {2, len(found["tokens"])}


def test_heads_without_names_have_no_columns_for_them(twins: Path) -> None:
    answer = attn("heads", TEXT, "-m", twins / "gpt2", "--rows", "-1")
    assert answer.out.partition("\nhead ")[2].split()[0] == "entropy"
    assert answer.err.splitlines()[-1] == WITHOUT_NAMES


def test_names_that_are_asked_for_are_those_of_the_whole_text() -> None:
    whole, rows = (document("heads", TEXT, "--no-probe", *more)["heads"] for more in ((), ("--rows", "-1")))
    assert [head["patterns"] for head in rows] == [head["patterns"] for head in whole]
    assert any(head["patterns"] for head in rows)


def test_conditions_order_and_data_files_are_about_the_chosen_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    answer = attn(
        "heads", TEXT, "--rows", "-1", "--on", "the", "--where", "on>0.05", "--sort", "on", "-o", path
    )
    assert answer.status == 0
    values = [float(row["on"]) for row in csv.DictReader(io.StringIO(path.read_text()))]
    assert values == sorted(values, reverse=True)
    assert min(values) > 0.05


def test_a_picture_names_rows_and_keys(tmp_path: Path) -> None:
    attn("heads", TEXT, "--rows", "it", "--on", "0-6", "-o", tmp_path / "a.svg")
    written = (tmp_path / "a.svg").read_text("utf-8")
    assert 'weight on chosen keys of each head · rows: "it" (' in written.replace("&quot;", '"')
    assert "on 7 keys" in written


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        (("--rows", "dog"), "'dog' is not a word of the text", None),
        (("--on", "99"), "key 99 does not exist", None),
        (("--on", ""), "the value of --on is empty", None),
        (("--on", "5-9999"), "key 9999 does not exist", None),
        (
            ("--rows", "3", "--on", "5-7"),
            "the query of --rows may look at no key of --on: the mask hides all 3 of them",
            "--rows 5-, or other keys",
        ),
        (
            ("--rows", "2-3", "--on", "7"),
            "the 2 queries of --rows may look at no key of --on: the mask hides key 7",
            "--rows 7-, or other keys",
        ),
        (
            ("--rows", "first", "--hide", "first"),
            "the query of --rows may look at no key that is in sight",
            "other --rows, or leave out --hide",
        ),
        (
            ("--on", "first,1", "--hide", "0-1"),
            "--on first,1 has no key in sight: --hide hides all 2 of them",
            "other keys, or leave out --hide",
        ),
        (("--sort", "on"), "on is the weight on chosen keys: no key is chosen", "--on 0-9, or other keys"),
        (("--metric", "on"), "on is the weight on chosen keys: no key is chosen", "--on 0-9, or other keys"),
        (
            ("--where", "on>0.1"),
            "on is the weight on chosen keys: no key is chosen",
            "--on 0-9, or other keys",
        ),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else None,
)
def test_a_choice_that_does_not_fit_is_refused(
    words: tuple[str, ...], problem: str, hint: str | None
) -> None:
    status, found, instead = refused(attn("heads", TEXT, *words))
    assert status == 2
    assert problem in found
    assert hint is None or instead == hint


@pytest.mark.parametrize("option", ["--rows", "--on"])
def test_a_probe_has_no_tokens_to_choose(option: str) -> None:
    status, problem, hint = refused(attn("heads", "--probe", option, "3"))
    assert (status, hint) == (2, f"leave out --probe or {option}")
    assert problem == f"--probe measures patterns on random tokens, of all keys: {option} was given too"


def test_chosen_rows_without_a_value_for_the_map_say_so() -> None:
    answer = attn("heads", TEXT, "--rows", "sat", "--metric", "induction")
    assert "induction has no value for any of these heads on these rows" in answer.err


def test_recorded_weights_are_measured_in_the_chosen_rows() -> None:
    from attn_cli.core.streaming.key_tokens import KeyTokens
    from tests.models.bridge.test_captured_layer import with_sink

    layer: Layer = with_sink()
    tokens = KeyTokens(np.arange(5), np.arange(5) == 0, on=np.arange(5) == 1)
    metrics = [metric for metric in Metric if metric not in {Metric.HIDDEN, Metric.RECEIVED}]
    whole = layer.measure(range(layer.heads), metrics, tokens)
    some = layer.at([2, 4]).measure(
        range(layer.heads),
        metrics,
        KeyTokens(tokens.ids, tokens.special, on=tokens.on, rows=np.array([2, 4])),
    )
    for metric in whole.values:
        np.testing.assert_array_equal(some.values[metric], whole.values[metric][:, [2, 4]])
        np.testing.assert_array_equal(some.eligible[metric], whole.eligible[metric][[2, 4]])
