"""What heads write: `--metric written`, the norms of a head, and layers without the values of a token."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest

from attn_cli import open_model
from attn_cli.show import data
from attn_cli.vocabulary import Metric
from tests.support.worlds import attn, refused

Numbers = npt.NDArray[np.float64]

STORY = "Tom Thumb went to sea, and Tom Thumb went home again, and Tom"
LONG = " ".join(f"w{number % 97}" for number in range(1100))
WRITTEN = {"written", "written-first", "written-on"}
SUM = 1e-5  # of float32 numbers up to 30


def steps_of(*arguments: str, index: int = 0) -> dict[str, Numbers]:
    entry = attn("inspect", *arguments, "--json").document["attention"][index]
    return {name: np.array(rows, dtype=float) for name, rows in entry["steps"].items()}


def heads_of(*arguments: str) -> dict[tuple[int, int], dict[str, Any]]:
    found = attn("heads", *arguments, "--json").document
    jsonschema.Draft202012Validator(json.loads(data.schema())).validate(found)
    return {(head["layer"], head["head"]): head for head in found["heads"]}


def test_a_head_rests_on_the_first_token_and_writes_from_others() -> None:
    """The value of EFFECTS.md: half of its weight there, and a sixth of what it writes."""
    head = heads_of(STORY, "--metric", "written")[1, 1]
    assert (round(head["first-token"], 2), round(head["written-first"], 2)) == (0.52, 0.18)


def test_norms_of_heads_do_not_add_up() -> None:
    reading = open_model(dtype="float64").read(STORY)
    heads = [reading.head(2, number) for number in range(8)]
    norms = np.sum([head.norms for head in heads], axis=0)
    weight = heads[0]._layer.layer.opened.projection.weight  # type: ignore[union-attr]  # noqa: SLF001
    added = sum(
        head.weights[..., None] * (head.values @ weight[:, 32 * number : 32 * number + 32].T)
        for number, head in enumerate(heads)
    )
    seen = np.tri(len(norms)) > 0
    times = norms[seen] / np.linalg.norm(added, axis=-1)[seen]
    assert round(float(np.median(times)), 2) == 1.43
    assert round(float(times.max()), 2) == 1.95


def test_what_a_head_writes_is_the_mean_of_its_rows() -> None:
    heads = heads_of(STORY, "--metric", "written", "--on", "sea")
    entries = attn("inspect", STORY, "-l", "all", "-s", "norms", "--json").document["attention"]
    for entry in entries:
        norms, head = np.array(entry["steps"]["norms"]), heads[entry["layer"], entry["head"]]
        total = norms.sum(axis=-1)
        assert head["written"] == pytest.approx(total.mean(), rel=SUM)
        assert head["written-first"] == pytest.approx((norms[1:, 0] / total[1:]).mean(), rel=1e-4)
        assert head["written-on"] == pytest.approx((norms[7:, 7] / total[7:]).mean(), rel=1e-4, abs=1e-7)


@pytest.mark.parametrize(
    "asked", [("--metric", "written-first"), ("--sort", "-written"), ("--where", "written>3")]
)
def test_what_heads_write_is_measured_if_it_is_asked_for(asked: tuple[str, str]) -> None:
    assert WRITTEN - {"written-on"} <= next(iter(heads_of(STORY, *asked).values())).keys()
    assert not WRITTEN & next(iter(heads_of(STORY).values())).keys()


def test_the_rows_of_a_question_have_the_numbers_that_they_have_among_all() -> None:
    norms = steps_of(STORY, "--heads", "2.6", "-s", "norms")["norms"]
    head = heads_of(STORY, "--metric", "written", "--rows", "11,18")[2, 6]
    rows = norms[[11, 18]]
    assert head["written"] == pytest.approx(rows.sum(axis=-1).mean(), rel=SUM)
    assert head["written-first"] == pytest.approx((rows[:, 0] / rows.sum(axis=-1)).mean(), rel=1e-4)


def test_the_table_shows_the_first_tokens_share_and_weight_beside_what_is_written() -> None:
    *_, heading, rest, row = attn(
        "heads", STORY, "-l", "1", "--metric", "written", "--top", "1"
    ).out.splitlines()
    assert heading.split()[-12:-8] == ["written", "written-", "first-", "entropy"]
    assert rest.split()[:2] == ["first", "token"]
    assert row.split()[:1] + row.split()[-12:-9] == ["1.4", "25.80", "0.96", "0.90"]


def test_hidden_keys_write_nothing_that_is_measured() -> None:
    whole = steps_of(STORY, "--heads", "1.1", "-s", "norms,weights")
    norms, left = whole["norms"][1:, 1:].sum(axis=-1), whole["weights"][1:, 1:].sum(axis=-1)
    plain = heads_of(STORY, "--metric", "written", "--hide", "first")[1, 1]
    divided = heads_of(STORY, "--metric", "written", "--hide", "first", "--renormalize")[1, 1]
    assert plain["written"] == pytest.approx(norms.mean(), rel=SUM)
    assert divided["written"] == pytest.approx((norms / left).mean(), rel=1e-4)
    assert plain["written-first"] is divided["written-first"] is None


def test_words_write_what_their_tokens_write() -> None:
    norms = steps_of(STORY, "--heads", "2.6", "-s", "norms")["norms"]
    words = steps_of(STORY, "--heads", "2.6", "-s", "norms,norm-shares", "--words")
    thumb = norms[[11, 12]][:, [3, 4]].sum(axis=-1).mean()  # the second time it looks at the first
    assert words["norms"][9, 2] == pytest.approx(thumb, rel=SUM)
    np.testing.assert_allclose(words["norm-shares"].sum(axis=-1), 1, atol=SUM)
    head = heads_of(STORY, "--metric", "written", "--words")[2, 6]
    assert head["written"] == pytest.approx(words["norms"].sum(axis=-1).mean(), rel=SUM)


def test_a_probe_does_not_measure_what_heads_write() -> None:
    problem = "--probe measures the patterns of heads, not what they write: written was asked for"
    hint = "leave out --probe, or another metric"
    assert refused(attn("heads", "--probe", "--metric", "written")) == (2, problem, hint)
    assert refused(attn("heads", "--probe", "--where", "written>1")) == (2, problem, hint)


def test_the_share_of_chosen_keys_needs_chosen_keys() -> None:
    problem = "written-on is what chosen keys add: no key is chosen"
    assert refused(attn("heads", STORY, "--metric", "written-on")) == (2, problem, "--on 0-9, or other keys")


def test_shares_are_norms_divided_by_their_row() -> None:
    found = steps_of(STORY, "--heads", "1.1", "-s", "norms,norm-shares")
    norms = found["norms"]
    np.testing.assert_allclose(found["norm-shares"], norms / norms.sum(axis=-1, keepdims=True), atol=1e-6)


def test_every_file_has_the_norms(tmp_path: Path) -> None:
    paths = [tmp_path / f"a.{suffix}" for suffix in ("json", "npz", "csv", "safetensors")]
    given = ("--heads", "1.1", "-s", "norms,value-zeroing", "--hide", "first")
    assert attn("inspect", STORY, *given, *(word for path in paths for word in ("-o", path))).status == 0
    entry = json.loads(paths[0].read_text())["attention"][0]
    jsonschema.Draft202012Validator(json.loads(data.schema())).validate(json.loads(paths[0].read_text()))
    with np.load(paths[1]) as arrays:
        np.testing.assert_allclose(arrays["self.1.1.norms"], entry["steps"]["norms"])
        np.testing.assert_allclose(arrays["self.1.1.value-zeroing"], entry["steps"]["value-zeroing"])
        np.testing.assert_allclose(arrays["self.1.1.hidden_norms"], entry["hidden"]["norms"])
    lines = list(csv.DictReader(io.StringIO(paths[2].read_text())))
    values = [float(line["value"]) for line in lines if line["step"] == "norms"]
    np.testing.assert_allclose(np.reshape(values, (19, 18)), entry["steps"]["norms"])
    assert sum(line["step"] == "hidden_norms" for line in lines) == 19


def test_hidden_keys_are_named_with_what_they_add() -> None:
    whole = steps_of(STORY, "--heads", "1.1", "-s", "norms,norm-shares")
    given = (STORY, "--heads", "1.1", "-s", "norms,norm-shares", "--hide", "first")
    for rest, divisor in ((), 1), (("--renormalize",), 1 - whole["norm-shares"][1:, :1]):
        entry = attn("inspect", *given, *rest, "--rows", "1-", "--json").document["attention"][0]
        np.testing.assert_allclose(entry["hidden"]["norms"], whole["norms"][1:, 0], rtol=SUM)
        np.testing.assert_allclose(entry["hidden"]["norm-shares"], whole["norm-shares"][1:, 0], rtol=SUM)
        np.testing.assert_allclose(entry["steps"]["norms"], whole["norms"][1:, 1:], rtol=SUM)
        shares = whole["norm-shares"][1:, 1:] / divisor
        np.testing.assert_allclose(entry["steps"]["norm-shares"], shares, rtol=1e-4, atol=1e-7)
    title = "norm-shares 1.1 · 19 × 18 · hidden 0.22 · range 0 to 1"
    assert title in attn("inspect", *given).out


@pytest.mark.parametrize("way", ["mean", "max"])
def test_norms_of_a_long_text_are_pooled_as_weights_are(way: str) -> None:
    line = (LONG, "-m", "random", "--causal", "--heads", "0.2", "-s", "weights,norms,norm-shares")
    pooled = attn("inspect", *line, "--pool", way, "--json").document["attention"][0]
    whole = steps_of(*line, "--rows", "all")
    rows, columns = pooled["cells"]
    for name in ("norms", "norm-shares", "weights"):
        cell = whole[name][rows * 5 : rows * 6, columns * 2 : columns * 3]
        expected = cell.max() if way == "max" else cell.mean()
        assert pooled["steps"][name][5][2] == pytest.approx(expected, rel=1e-4), name


def test_pooled_norms_are_absolute_beside_shares_of_what_is_left() -> None:
    line = (LONG, "-m", "random", "--causal", "--heads", "0.2", "-s", "norms,norm-shares", "--hide", "0-299")
    plain, divided = (
        attn("inspect", *line, *rest, "--json").document["attention"][0] for rest in ((), ("--renormalize",))
    )
    assert divided["steps"]["norms"] == plain["steps"]["norms"]
    assert divided["hidden"]["norms"] == plain["hidden"]["norms"]
    whole = steps_of(LONG, "-m", "random", "--causal", "--heads", "0.2", "-s", "norms", "--rows", "all")[
        "norms"
    ]
    rows, columns = plain["cells"]
    assert plain["hidden"]["norms"][400] == pytest.approx(
        whole[rows * 400 : rows * 401, :300].sum(axis=-1).mean(), rel=1e-4
    )
    block = whole[rows * 400 : rows * 401, 300:]
    expected = (block / block.sum(axis=-1, keepdims=True))[:, columns : 2 * columns].mean()
    assert divided["steps"]["norm-shares"][400][1] == pytest.approx(expected, rel=1e-4)


def test_hidden_keys_do_not_set_the_scale_of_norms() -> None:
    out = attn("inspect", STORY, "--heads", "1.3", "-s", "norms", "--rows", "-1", "--hide", "first").out
    assert "norms 1.3 · 1 × 18 · hidden 20.44 · range 0 to 0.29" in out


def test_a_table_of_a_long_text_says_what_a_cell_is() -> None:
    out = attn("inspect", LONG, "-m", "random", "--causal", "--heads", "0.2", "-s", "norms,norm-shares").out
    flat = " ".join(out.split())
    assert "pooled: each cell is the norms of what 96 keys add, summed, averaged over 96 queries" in flat
    assert "pooled: each cell is the share of the norms of 96 keys, averaged over 96 queries" in flat


def test_value_zeroing_of_a_long_text_is_shown_of_some_rows() -> None:
    line = ("inspect", LONG, "-m", "random", "-s", "value-zeroing")
    status, problem, _ = refused(attn(*line))
    assert (status, problem) == (2, "value-zeroing of 1,100 × 1,100 tokens is too large: 5 MB per head")
    assert attn(*line, "--rows", "-1", "--top", "3").status == 0


def test_a_layer_without_a_value_is_one_matrix() -> None:
    out = attn("inspect", STORY, "-l", "1-2", "-s", "value-zeroing", "--rows", "-1").out
    titles = [line for line in out.splitlines() if line.startswith("value-zeroing")]
    assert titles == [
        "value-zeroing of layer 1 · 1 × 19 · range 0 to 0.13",
        "value-zeroing of layer 2 · 1 × 19 · range 0 to 0.15",
    ]


def test_a_line_for_each_head_is_one_table_for_their_layer() -> None:
    out = attn(
        "inspect", "the cat sat", "--heads", "1.1,1.2", "-s", "value-zeroing", "--rows", "-1", "--top", "1"
    )
    *_, title, line, _ = out.out.splitlines()
    assert title.startswith("value-zeroing of layer 1 · 1 × 4 · ")
    assert line.startswith("3 sat → 0 <s> ")


def test_a_picture_has_a_panel_for_each_layer(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    assert attn("heatmap", "the cat sat", "-l", "0,1", "-s", "value-zeroing", "-o", path).status == 0
    drawn = path.read_text()
    assert [word in drawn for word in ("layer 0<", "layer 1<", "1 - cosine")] == [True, True, True]


def test_words_have_no_value_zeroing() -> None:
    problem = "--words merges the weights of a word's tokens, not their value-zeroing"
    expected = (2, problem, "-s weights, or leave out --words")
    assert refused(attn("inspect", STORY, "-s", "value-zeroing", "--words")) == expected


@pytest.mark.parametrize("step", ["norms", "norm-shares"])
def test_shares_are_on_the_scale_of_weights_and_norms_on_their_own(step: str) -> None:
    out = attn("inspect", STORY, "--heads", "1.3", "-s", step, "--rows", "-1").out
    assert f"{step} 1.3 · 1 × 19 · range 0 to {'1' if step == 'norm-shares' else '20.44'}" in out
    log = attn("inspect", STORY, "--heads", "1.3", "-s", step, "--rows", "-1", "--scale", "log")
    assert log.status == (0 if step == "norm-shares" else 2)


def test_limits_apply_to_shares_and_to_norms() -> None:
    for step in ("norms", "norm-shares"):
        out = attn("inspect", STORY, "--heads", "1.3", "-s", step, "--rows", "-1", "--limits", "0,0.5").out
        assert f"{step} 1.3 · 1 × 19 · range 0 to 0.5" in out


@pytest.fixture(scope="module")
def bridged(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    from tests.support.every_type import save_twin

    def directory(kind: str) -> Path:
        found = tmp_path_factory.mktemp(kind)
        save_twin(kind, found)
        return found

    return directory


@pytest.mark.slow
def test_a_model_read_through_transformers_has_norms_and_no_rest_of_its_layer(
    bridged: Callable[[str], Path],
) -> None:
    line = ("the cat sat", "-m", str(bridged("cohere")))
    found = steps_of(*line, "-l", "0", "-s", "norms,weights")
    assert (found["norms"].sum(axis=-1) > 0).all()
    assert "written" in attn("heads", *line, "--metric", "written").out
    problem = refused(attn("inspect", *line, "-s", "value-zeroing"))[1]
    assert problem.endswith("has no value-zeroing: it is not known what the layer does after its attention")


def test_what_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.reading.test_kinds import LINE, only_weights

    monkeypatch.setattr("attn_cli.models.open.open_source", lambda *_, **__: only_weights())
    status, problem, hint = refused(attn("heads", *LINE, "--metric", "written"))
    assert (status, hint) == (1, "another metric, or other layers")
    assert "has no written in layer" in problem
    status, problem, _ = refused(attn("inspect", *LINE, "-s", "norms", "-l", "1"))
    assert "has no norms" in problem


def test_every_metric_of_what_is_written_says_so() -> None:
    assert {metric for metric in Metric if metric.is_written} == WRITTEN
