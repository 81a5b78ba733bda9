"""Heads with a learned sink: its column in tables, pictures, JSON and files, and its part in every number."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
import safetensors.numpy

from attn_cli.analysis.distance import measure_distances
from attn_cli.reading import window
from attn_cli.show import data
from attn_cli.show.picture import page
from attn_cli.show.picture.marks import Drawing, Image, Word
from attn_cli.vocabulary import Distance, Pool
from tests.support.documents import Model
from tests.support.worlds import attn, attn_in_terminal, refused

TEXT = "the cat sat on the mat"  # six tokens, the first twice
ON_SINK, BESIDE, NEXT_TO_NOTHING = 40.0, 1.0, -40.0
PER_ROW = np.linspace(-3, 3, 12).reshape(2, 6)  # (H, T)
SINKS = {"per head": np.array([ON_SINK, BESIDE]), "per row": PER_ROW}

Numbers = npt.NDArray[np.floating]


def entries(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = attn("inspect", TEXT, *words, "--json").document["attention"]
    return found


def is_softmax(logits: Numbers, sink_logit: Any, weights: Numbers, sink_weight: Numbers) -> None:
    """Recompute the weights and the sink's from the logits, in float64, as a reader of the files would."""
    column = np.broadcast_to(np.asarray(sink_logit, float), len(logits))[:, None]
    powers = np.exp(np.concatenate([logits.astype(float), column], axis=-1))
    expected = powers / powers.sum(axis=-1, keepdims=True)
    # float32: the logits, of up to 40, are rounded by 40 · 2⁻²⁴
    np.testing.assert_allclose(np.column_stack([weights, sink_weight]), expected, rtol=1e-5, atol=1e-12)


def numbers(rows: Any) -> Numbers:
    """JSON's matrix with -inf for null."""
    return np.array([[-np.inf if value is None else value for value in row] for row in rows])


@pytest.mark.parametrize("sink", SINKS.values(), ids=SINKS)
def test_in_json_the_softmax_over_logits_and_sink_is_the_weights(sink: Numbers, model: Model) -> None:
    model(sink)
    document = attn("inspect", TEXT, "-l", "0", "-s", "logits,weights", "--json").document
    jsonschema.Draft202012Validator(json.loads(data.schema())).validate(document)
    for entry, logit in zip(document["attention"], sink, strict=True):
        assert entry["sink"]["logit"] == pytest.approx(logit.tolist())
        steps = entry["steps"]
        is_softmax(
            numbers(steps["logits"]), entry["sink"]["logit"], steps["weights"], entry["sink"]["weight"]
        )


@pytest.mark.parametrize("sink", SINKS.values(), ids=SINKS)
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_in_files_of_arrays_it_is_too_and_names_have_four_parts(
    sink: Numbers, suffix: str, model: Model, tmp_path: Path
) -> None:
    model(sink)
    path = tmp_path / f"heads{suffix}"
    assert attn("inspect", TEXT, "-l", "0", "-s", "logits,weights", "-o", path).status == 0
    found = dict(np.load(path)) if suffix == ".npz" else safetensors.numpy.load_file(path)
    assert {len(name.split(".")) for name in found if name != "meta"} == {4}
    for head in (0, 1):
        names = ("logits", "sink_logit", "weights", "sink_weight")
        is_softmax(*(found[f"self.0.{head}.{name}"] for name in names))


@pytest.mark.parametrize("sink", SINKS.values(), ids=SINKS)
def test_in_csv_it_is_too(sink: Numbers, model: Model, tmp_path: Path) -> None:
    model(sink)
    path = tmp_path / "heads.csv"
    assert attn("inspect", TEXT, "--heads", "0.1", "-s", "logits,weights", "-o", path).status == 0
    lines = list(csv.DictReader(io.StringIO(path.read_text())))
    of_step = {step: [line for line in lines if line["step"] == step] for step in {x["step"] for x in lines}}
    values = {
        step: np.array([float(line["value"] or "-inf") for line in of_step[step]]).reshape(6, -1)
        for step in of_step
    }
    is_softmax(values["logits"], values["sink_logit"][:, 0], values["weights"], values["sink_weight"])
    assert [(line["row"], line["row_token"]) for line in of_step["sink_weight"]][:2] == [
        ("0", "the"),
        ("1", "cat"),
    ]


def test_the_sink_is_there_with_the_steps_it_takes_part_in(model: Model) -> None:
    model(SINKS["per head"])
    shown = {
        step: "sink" in entries("--heads", "0.0", "-s", step)[0] for step in ("weights", "logits", "scores")
    }
    assert shown == {"weights": True, "logits": True, "scores": False}


def test_a_table_has_a_column_for_the_sink_set_apart_from_the_tokens(model: Model) -> None:
    model(SINKS["per head"])
    weights = attn("inspect", "the cat sat", "--heads", "0.1", "-s", "weights").out.partition("\n\n")[2]
    assert weights == WEIGHTS
    logits = attn("inspect", "the cat sat", "--heads", "0.1", "-s", "logits").out.partition("\n\n")[2]
    assert logits == LOGITS


WEIGHTS = """\
weights 0.1 · 3 × 3 and the sink · range 0 to 1
          0    1    2 |
        the  cat  sat | sink
0 the ▒0.43    ·    · |▒0.57
1 cat ░0.22░0.40    · |░0.38
2 sat  0.17 0.05▒0.50 |░0.27
"""
LOGITS = """\
logits 0.1 · 3 × 3 and the sink · range -0.67 to 1.61
           0     1     2 |
         the   cat   sat |  sink
0 the ▒ 0.71     ·     · |▓ 1.00
1 cat ░ 0.44▓ 1.04     · |▓ 1.00
2 sat ░ 0.52▒-0.67█ 1.61 |▓ 1.00
"""


def test_weights_beside_a_sink_that_takes_everything_are_not_shaded(model: Model) -> None:
    model(SINKS["per head"])
    table = attn("inspect", TEXT, "--heads", "0.0", "-s", "weights").out.partition("\n\n")[2]
    assert "range 0 to 1" in table
    for line in table.splitlines()[3:]:
        tokens, sink = line.split(" |")
        assert not set(tokens) & set("░▒▓█")
        assert sink == "█1.00"


def test_top_lists_the_sink_before_the_largest_of_the_tokens(model: Model) -> None:
    model(np.array([ON_SINK, np.log(2)]))
    lines = attn("inspect", "a a a", "--heads", "0.1", "-s", "weights", "--top", "1").out.splitlines()
    found = {
        line.split(" → ")[0].strip(): line.split(" → ")[1].split(" | ")[0] for line in lines if "→" in line
    }
    shares = entries_of("a a a")["weight"]
    assert list(found) == ["0 a", "1 a", "2 a"]
    assert [float(text.removeprefix("sink ")[1:]) for text in found.values()] == pytest.approx(
        shares, abs=5e-3
    )


def entries_of(text: str) -> Any:
    """The sink of head 0.1."""
    return attn("inspect", text, "--heads", "0.1", "-s", "weights", "--json").document["attention"][0]["sink"]


def test_a_table_too_wide_for_a_terminal_lists_the_sink_too(model: Model) -> None:
    model(SINKS["per head"])
    text = " ".join(f"w{number}" for number in range(40))
    out = attn_in_terminal("inspect", text, "--heads", "0.0", "-s", "weights").out
    rows = [line for line in out.splitlines() if "→" in line]
    assert len(rows) == 40
    assert all(" → sink █1.00 | " in row and len(row) <= 80 for row in rows)


def test_a_part_of_the_matrix_keeps_the_sink_of_its_rows(model: Model) -> None:
    for sink in SINKS.values():
        model(sink)
        whole = entries("--heads", "0.1", "-s", "weights")[0]["sink"]
        part = entries("--heads", "0.1", "-s", "weights", "--rows", "2,4", "--columns", "0")[0]["sink"]
        assert part["weight"] == [whole["weight"][2], whole["weight"][4]]
        whole_logit = whole["logit"]
        assert part["logit"] == (
            [whole_logit[2], whole_logit[4]] if isinstance(whole_logit, list) else whole_logit
        )


def test_pooled_weights_have_the_mean_share_of_the_sink(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sink in SINKS.values():
        model(sink)
        whole = entries("--heads", "0.1", "-s", "weights")[0]["sink"]
        with monkeypatch.context() as patch:
            patch.setattr(window, "LARGEST", 20)
            patch.setattr("attn_cli.commands.inspect.shared_out", lambda _: 3)
            pooled = entries("--heads", "0.1", "-s", "weights")[0]
        assert pooled["cells"] == [2, 2]
        means = np.array(whole["weight"]).reshape(3, 2).mean(axis=-1)
        np.testing.assert_allclose(pooled["sink"]["weight"], means, rtol=1e-6)
        assert pooled["sink"]["logit"] == (None if sink is PER_ROW else whole["logit"])


def test_a_pooled_table_leaves_room_for_the_sink(model: Model) -> None:
    """15 columns of 96 tokens would fit without it, and the next larger cells are of 128."""
    model(SINKS["per head"])
    text = " ".join(f"w{number}" for number in range(15 * 96))
    out = attn_in_terminal("inspect", text, "--heads", "0.0", "-s", "weights").out
    header = next(line for line in out.splitlines() if line.endswith("| sink"))
    assert header.split()[:2] == ["0", "128"]
    assert len(header) <= 80


def heads(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = attn("heads", TEXT, *words, "--json").document["heads"]
    return found


@pytest.mark.parametrize("sink", SINKS.values(), ids=SINKS)
def test_metrics_count_the_sink_as_one_more_key(sink: Numbers, model: Model) -> None:
    model(sink)
    document = attn("heads", TEXT, "--json").document
    jsonschema.Draft202012Validator(json.loads(data.schema())).validate(document)
    assert "sink" in document["metrics"]
    for head, entry in zip(document["heads"], entries("-l", "0", "-s", "weights"), strict=True):
        weights, share = np.array(entry["steps"]["weights"]), np.array(entry["sink"]["weight"])
        full = np.column_stack([weights, share])
        entropy = -(full * np.log(np.where(full > 0, full, 1))).sum(axis=-1)
        apart = np.abs(np.arange(6)[:, None] - np.arange(6))
        assert head["sink"] == pytest.approx(share.mean(), rel=1e-5)
        assert head["entropy"] == pytest.approx(entropy.mean(), rel=1e-4, abs=1e-6)
        assert head["largest"] == pytest.approx(weights.max(axis=-1).mean(), rel=1e-4)
        if share.min() < 1:
            mean = (weights * apart).sum() / weights.sum()
            assert head["distance"] == pytest.approx(mean, rel=1e-4)


def test_a_head_whose_sink_takes_everything_has_no_distance_and_no_pattern(model: Model) -> None:
    model(SINKS["per head"])
    resting, _ = heads()
    assert (resting["sink"], resting["distance"], resting["pattern"]) == (1.0, None, None)
    assert resting["entropy"] < 1e-12


def test_by_entropy_a_head_that_rests_on_its_sink_comes_last(model: Model) -> None:
    model(SINKS["per head"])
    rows = attn("heads", TEXT, "--metric", "entropy").out.splitlines()
    listed = [line.split()[0] for line in rows if line.startswith("0.")]
    assert listed == ["0.1", "0.0"]
    chosen = attn("heads", TEXT, "--sort", "-entropy").out.splitlines()
    assert [line.split()[0] for line in chosen if line.startswith("0.")] == ["0.0", "0.1"]


def test_layers_without_a_sink_have_no_value_for_it(model: Model) -> None:
    model(None, SINKS["per head"])
    assert [head["sink"] is None for head in heads()] == [True, True, False, False]
    assert [head["sink"] for head in heads("-l", "0", "--sort", "sink")] == [None, None]
    assert "sink" not in entries("--heads", "0.0", "-s", "weights")[0]
    assert heads("--where", "sink>0.9") == [heads()[2]]


def test_a_model_without_sinks_has_no_metric_sink() -> None:
    for words in (["--metric", "sink"], ["--sort", "-sink"], ["--where", "sink>0.5"]):
        status, problem, hint = refused(attn("heads", TEXT, *words))
        assert (status, problem) == (2, "storybook has no sink: no head of it has a learned sink")
        assert hint.startswith("one of entropy, largest, distance, ")


@pytest.mark.parametrize(
    "words", [["inspect", "-s", "logits,weights"], ["heads"], ["compare", "--heads", "0.0,0.1"]]
)
def test_without_a_sink_nothing_names_one(words: list[str]) -> None:
    command, *rest = words
    for more in ([], ["--json"]):
        assert "sink" not in attn(command, TEXT, "-m", "random", *rest, *more).out


@pytest.mark.parametrize("kind", list(Distance))
@pytest.mark.parametrize("rows", [None, "1,3-5"])
def test_distances_count_the_sink_as_one_more_key(kind: Distance, rows: str | None, model: Model) -> None:
    """Between heads with different sinks, and a head without; over all rows, and over some."""
    model(SINKS["per head"], None)
    window_of = [] if rows is None else ["--rows", rows]
    places = "0.0,0.1,1.1"
    full = []
    for entry in entries("--heads", places, "-s", "weights", *window_of):
        weights = np.array(entry["steps"]["weights"])
        full.append(
            np.column_stack([weights, entry.get("sink", {"weight": np.zeros(len(weights))})["weight"]])
        )
    found = attn("compare", TEXT, "--heads", places, "-d", kind, *window_of, "--json").document
    np.testing.assert_allclose(found["matrix"], measure_distances(full, kind), atol=1e-7)
    assert found["matrix"][0][1] > 0.4


def test_the_difference_of_two_heads_has_that_of_their_sinks(model: Model) -> None:
    model(SINKS["per head"], None)
    one, other = (entry["sink"]["weight"] for entry in entries("--heads", "0.0,0.1", "-s", "weights"))
    found = attn("compare", TEXT, "--heads", "0.0,0.1", "--json").document
    jsonschema.Draft202012Validator(json.loads(data.schema())).validate(found)
    np.testing.assert_allclose(found["sink_difference"], np.subtract(one, other), atol=1e-7)
    against_none = attn("compare", TEXT, "--heads", "1.0,0.1", "--json").document
    np.testing.assert_allclose(against_none["sink_difference"], np.negative(other), atol=1e-7)
    assert np.array(found["difference"]).shape == (6, 6)
    table = attn("compare", TEXT, "--heads", "0.0,0.1").out
    assert "weights 0.0 − 0.1 · 6 × 6 and the sink · range " in table


def test_the_default_head_is_not_one_that_rests_on_its_sink(model: Model) -> None:
    """Alike but for their sinks, the head that leaves weight to tokens is sharper."""
    for resting in (0, 1):
        sinks = np.full(2, NEXT_TO_NOTHING)
        sinks[resting] = ON_SINK
        model(sinks)
        err = attn("inspect", TEXT, "-s", "weights").err
        assert f"head 0.{1 - resting} is shown" in err
        assert "its learned sink takes 0.00 of its weight on average" in err


def test_a_sink_that_is_not_a_number_is_refused(model: Model) -> None:
    for sink in (np.nan, np.inf):
        model(np.array([sink, 0.0]))
        for command in (["inspect", TEXT, "--heads", "0.0"], ["heads", TEXT], ["compare", TEXT, "-l", "0"]):
            status, problem, _ = refused(attn(*command))
            assert status == 1
            assert "of head 0.0 are not all finite numbers" in problem


def test_a_sink_of_minus_infinity_takes_nothing(model: Model) -> None:
    model(np.array([-np.inf, 0.0]))
    (entry,) = entries("--heads", "0.0", "-s", "logits,weights")
    assert entry["sink"] == {"logit": None, "weight": [0.0] * 6}
    assert heads()[0]["sink"] == 0.0
    assert " ·\n" in attn("inspect", TEXT, "--heads", "0.0", "-s", "logits").out


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> list[Drawing]:
    """The drawings that commands make; their files are empty."""
    made = list[Drawing]()

    def paged(*given: Any) -> Drawing:
        made.append(page(*given))
        return made[-1]

    monkeypatch.setattr("attn_cli.show.picture.page", paged)
    monkeypatch.setattr("attn_cli.show.picture.render", lambda *_: b"")
    return made


def test_a_picture_has_a_column_for_the_sink_of_each_head(
    model: Model, drawings: list[Drawing], tmp_path: Path
) -> None:
    model(SINKS["per head"], None)
    assert attn("heatmap", TEXT, "-o", tmp_path / "heads.png").status == 0
    (drawing,) = drawings
    shapes = [mark.colours.shape[:2] for mark in drawing.marks if isinstance(mark, Image)]
    assert shapes == [(6, 6), (6, 1), (6, 6), (6, 1), (6, 6), (6, 6), (256, 1)]
    assert "column beside it: learned sink" in [mark.text for mark in drawing.marks if isinstance(mark, Word)]


@pytest.mark.parametrize("pool", Pool)
def test_a_pooled_picture_has_the_sink_on_the_scale_of_the_keys(
    pool: Pool, model: Model, drawings: list[Drawing], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model(np.array([ON_SINK, 2.0]))
    monkeypatch.setattr(window, "LARGEST", 20)
    monkeypatch.setattr("attn_cli.commands.heatmap.shared_out", lambda *_: 3)
    chosen = ("--heads", "0.1", "--scale", "linear", "--pool", pool)
    assert attn("heatmap", TEXT, *chosen, "-o", tmp_path / "head.png").status == 0
    (drawing,) = drawings
    tokens, sink, _ = (mark.colours for mark in drawing.marks if isinstance(mark, Image))
    entry = entries("--heads", "0.1", "-s", "weights")[0]
    reduced = np.mean if pool is Pool.MEAN else np.max
    shares = reduced(np.array(entry["sink"]["weight"]).reshape(3, 2), axis=-1)
    weights = reduced(np.array(entry["steps"]["weights"]).reshape(3, 2, 3, 2), axis=(1, 3))
    colours = mpl.colormaps["viridis"]
    np.testing.assert_array_equal(sink[:, 0], colours(shares, bytes=True))
    np.testing.assert_array_equal(tokens[2], colours(weights[2], bytes=True))
    assert "sink" in {mark.text for mark in drawing.marks if isinstance(mark, Word)}
