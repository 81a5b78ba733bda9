"""`attn inspect`, `heatmap` and `compare` on long texts: a part in full, or block averages."""

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.analysis.distance import measure_distances
from attn_cli.analysis.sharpness import measure_sharpness
from attn_cli.commands.results.output import shared_out
from attn_cli.core.multihead import Attention
from attn_cli.reading.default_head import choose_default_head
from attn_cli.vocabulary import Distance, Step
from tests.commands.test_heatmap import words
from tests.support.readings import reading_of
from tests.support.worlds import attn, refused

pytestmark = pytest.mark.slow  # matrices of 1,100 tokens

COUNT = 1100
LONG = " ".join(f"w{number % 97}" for number in range(COUNT))
RANDOM = (LONG, "-m", "random", "--heads", "0.1,0.2")
REMARK = (
    "1,100 × 1,100 weights are averaged over blocks, each labelled by its first token; "
    "in full: --rows 0-19 --columns 0-63\n"
)
IS_LOG = "weights are on a log scale, because the text is long; otherwise: --scale linear\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, npt.NDArray[Any]]:
    """Every step of two heads, in full (`--rows all`)."""
    path = tmp_path_factory.mktemp("long") / "a.npz"
    steps = [word for step in Step if step is not Step.BIAS for word in ("-s", step)]
    assert attn("inspect", *RANDOM, "--causal", "--rows", "all", *steps, "-o", path).status == 0
    with np.load(path) as found:
        return dict(found)


def valid(document: dict[str, Any]) -> dict[str, Any]:
    jsonschema.Draft202012Validator(json.loads(attn("inspect", "--json-schema").out)).validate(document)
    return document


def test_a_part_of_every_step_is_that_part_of_the_whole(whole: dict[str, npt.NDArray[Any]]) -> None:
    rows, columns = [700, 701, 1099], [0, 5, 698, 700]
    chosen = ("--rows", "700-701,-1", "--columns", "700,0,5,698")
    for step in (step for step in Step if step is not Step.BIAS):
        found = attn("inspect", *RANDOM, "--causal", *chosen, "-s", step, "--json").document
        entry = valid(found)["attention"][0]
        assert (entry["queries"], entry["keys"]) == (rows, columns)
        expected = whole[f"self.0.1.{step}"]
        expected = expected[columns if step.is_of_keys else rows]
        expected = expected[:, columns] if step.is_pairwise else expected
        numbers = np.array(entry["steps"][step], dtype=float)
        numbers[np.isnan(numbers)] = -np.inf  # a masked logit is null
        np.testing.assert_allclose(
            numbers, expected, atol=1e-5, err_msg=step
        )  # float32, another order of sums


def test_only_the_selected_rows_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = spied(monkeypatch)
    attn("inspect", *RANDOM, "--rows", "3-5", "--json")
    assert counts == [3]


def test_a_table_labels_tokens_by_position_in_the_text() -> None:
    chosen = ("--rows", "100-101", "--columns", "970,971", "-s", "weights", "--digits", "4")
    answer = attn("inspect", LONG, "-m", "random", "--heads", "0.1", *chosen)
    assert answer.out.splitlines()[-4:] == [
        "           970    971",
        "            w0     w1",
        "100 w3  0.0004 0.0000",
        "101 w4  0.0000 0.0027",
    ]
    assert answer.err == ""


def test_a_csv_labels_tokens_by_position_in_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    attn("inspect", *RANDOM, "--rows", "100", "--columns", "1000", "-s", "weights", "-s", "keys", "-o", path)
    lines = list(csv.DictReader(path.read_text().splitlines()))
    places = {(line["step"], line["row"], line["row_token"], line["column_token"]) for line in lines}
    assert places == {("weights", "100", "w3", "w30"), ("keys", "1000", "w30", "")}


def test_a_row_that_does_not_exist_is_refused() -> None:
    problem = "row 1100 does not exist: the text has 1,100 tokens, numbered 0 to 1099"
    assert refused(attn("inspect", *RANDOM, "--rows", "1100")) == (2, problem, "--rows 1099")
    problem = "column 8 does not exist: the text has 3 tokens, numbered 0 to 2"
    assert refused(attn("inspect", "a b c", "-m", "random", "--columns", "8")) == (2, problem, "--columns 2")


def test_without_a_selection_the_terminal_shows_block_averages_and_says_so() -> None:
    answer = attn("inspect", LONG, "-m", "random", "--heads", "0.1")
    assert answer.err == REMARK
    *_, title, phrase, size, header = answer.out.splitlines()[:-12]
    assert title == "weights 0.1"
    assert phrase == "pooled: each cell is the total weight on 96 keys, averaged over 96 queries"
    assert size.startswith("12 × 12 · range 0 to ")
    assert header.split() == [str(place) for place in range(0, COUNT, 96)]
    assert [line.split()[0] for line in answer.out.splitlines()[-12:]] == header.split()
    assert max(map(len, answer.out.splitlines())) <= 80


def test_json_has_the_block_averages(whole: dict[str, npt.NDArray[Any]]) -> None:
    answer = attn("inspect", *RANDOM, "--causal", "--json")
    entry = valid(answer.document)["attention"][1]
    assert (entry["cells"], entry["pool"]) == ([2, 2], "mean")
    assert entry["queries"] == list(range(0, COUNT, 2))
    weights = whole["self.0.2.weights"]
    expected = weights.reshape(COUNT // 2, 2, COUNT // 2, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(entry["steps"]["weights"], expected, atol=1e-6)  # float32
    assert answer.err == REMARK


def test_an_array_file_records_that_it_has_averages(tmp_path: Path) -> None:
    attn("inspect", *RANDOM, "-o", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as found:
        assert found["self.0.1.weights"].shape == (550, 550)
        assert json.loads(str(found["meta"]))["attention"][0]["cells"] == [2, 2]


def test_a_csv_cannot_record_averages(tmp_path: Path) -> None:
    problem = ".csv cannot record that the weights of a long text are averages over blocks"
    answer = attn("inspect", *RANDOM, "-q", "-o", tmp_path / "a.csv")
    assert refused(answer) == (2, problem, "--rows 0-19, or .json, .npz or .safetensors")


@pytest.mark.parametrize("command", ["inspect", "heatmap"])
def test_other_matrices_of_a_long_text_are_refused_with_their_size(command: str, tmp_path: Path) -> None:
    out = ("-o", tmp_path / "a.svg") if command == "heatmap" else ()
    problem, hint = (
        "scores of 1,100 × 1,100 tokens are too large: 5 MB per head",
        "--rows 0-952, or only -s weights",
    )
    assert refused(attn(command, *RANDOM, "-s", "scores", *out)) == (2, problem, f"{hint}, which are pooled")


def test_steps_without_token_pairs_are_shown_in_full() -> None:
    found = attn("inspect", *RANDOM, "-s", "queries", "-s", "context", "--json").document["attention"][0]
    assert np.shape(found["steps"]["queries"]) == np.shape(found["steps"]["context"]) == (COUNT, 16)
    assert "cells" not in found


def test_a_picture_of_a_long_text_says_that_it_is_pooled(tmp_path: Path) -> None:
    answer = attn("heatmap", *RANDOM, "-o", tmp_path / "a.svg")
    found = words(tmp_path / "a.svg")
    assert {"largest weight of a block of 5 × 5, log scale", "1", "0.1", "0.01", "≤ 0.001"} <= set(found)
    largest = REMARK.replace("averaged over blocks", "shown as the largest of each block")
    assert answer.err == f"wrote {tmp_path / 'a.svg'}\n{largest}{IS_LOG}"


def test_a_picture_may_have_the_means_on_a_linear_scale(tmp_path: Path) -> None:
    answer = attn("heatmap", *RANDOM, "--pool", "mean", "--scale", "linear", "-o", tmp_path / "a.svg")
    found = words(tmp_path / "a.svg")
    assert {"mean weight of a block of 5 × 5, linear scale", "1", "0.8", "0"} <= set(found)
    assert answer.err == f"wrote {tmp_path / 'a.svg'}\n{REMARK}"


def test_blocks_that_nothing_is_shown_in_are_named() -> None:
    remark = "--pool max has no effect: nothing is averaged or merged over blocks"
    assert remark in attn("inspect", "the cat sat", "--pool", "max").err.splitlines()
    assert "--pool" not in attn("inspect", *RANDOM, "--pool", "max").err


def test_json_may_have_the_largest_weights_of_blocks(whole: dict[str, npt.NDArray[Any]]) -> None:
    entry = valid(attn("inspect", *RANDOM, "--causal", "--json", "--pool", "max").document)["attention"][1]
    assert (entry["cells"], entry["pool"]) == ([2, 2], "max")
    expected = whole["self.0.2.weights"].reshape(COUNT // 2, 2, COUNT // 2, 2).max(axis=(1, 3))
    np.testing.assert_allclose(entry["steps"]["weights"], expected, atol=1e-6)  # float32


def test_a_table_may_have_the_largest_weights_of_blocks(whole: dict[str, npt.NDArray[Any]]) -> None:
    chosen = ("--causal", "-m", "random", "--heads", "0.1", "--pool", "max", "--digits", "4")
    answer = attn("inspect", LONG, *chosen, COLUMNS="200")
    assert "pooled: each cell is the largest of 41 × 41 weights" in answer.out
    last = answer.out.splitlines()[-1].split()[1:]
    weights = whole["self.0.1.weights"][-(COUNT % 41) :]
    firsts = np.arange(0, COUNT, 41)
    expected = np.maximum.reduceat(weights.max(axis=0), firsts)
    assert len(last) == len(firsts)
    np.testing.assert_allclose([float(text.strip("░▒▓█")) for text in last], expected, atol=6e-5)


def test_the_difference_of_the_largest_weights_says_so() -> None:
    found = valid(attn("compare", *RANDOM, "--pool", "max", "--json").document)
    one, other = (
        np.array(entry["steps"]["weights"])
        for entry in attn("inspect", *RANDOM, "--pool", "max", "--json").document["attention"]
    )
    assert found["pool"] == "max"
    np.testing.assert_allclose(found["difference"], one - other, atol=1e-7)  # float32


def test_a_picture_of_a_part_has_its_tokens(tmp_path: Path) -> None:
    attn("heatmap", *RANDOM, "--rows", "100-101", "--columns", "30-32", "-o", tmp_path / "a.svg")
    assert {"100 w3", "101 w4", "30 w30", "31 w31", "32 w32"} <= set(words(tmp_path / "a.svg"))


@pytest.mark.parametrize("kind", list(Distance))
def test_distances_of_a_long_text_are_those_of_its_full_matrices(
    kind: Distance, whole: dict[str, npt.NDArray[Any]]
) -> None:
    answer = attn("compare", *RANDOM, "--causal", "-d", kind, "--json")
    weights = [whole[f"self.0.{head}.weights"] for head in (1, 2)]
    np.testing.assert_allclose(
        answer.document["matrix"], measure_distances(weights, kind), rtol=1e-5
    )  # float32
    assert answer.err == REMARK


def test_full_matrices_are_never_compared_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = spied(monkeypatch)
    attn("compare", *RANDOM, "--json")
    assert sum(counts) == 2 * COUNT
    assert max(counts) * COUNT <= 2**20 // 2


def test_the_difference_of_a_long_text_is_that_of_its_block_averages() -> None:
    found = valid(attn("compare", *RANDOM, "--json").document)
    one, other = (
        np.array(entry["steps"]["weights"], dtype=np.float32)
        for entry in attn("inspect", *RANDOM, "--json").document["attention"]
    )
    assert (found["cells"], found["queries"]) == ([2, 2], list(range(0, COUNT, 2)))
    assert found["pool"] == "mean"
    np.testing.assert_allclose(found["difference"], one.astype(float) - other, atol=1e-12)


def test_selected_rows_are_compared_over_all_keys(whole: dict[str, npt.NDArray[Any]]) -> None:
    chosen = ("--causal", "--rows", "900-902", "--columns", "5-6")
    found = valid(attn("compare", *RANDOM, *chosen, "--json").document)
    one, other = (whole[f"self.0.{head}.weights"][900:903].astype(float) for head in (1, 2))
    assert (found["queries"], found["keys"]) == ([900, 901, 902], [5, 6])
    np.testing.assert_allclose(found["difference"], (one - other)[:, 5:7], atol=1e-6)  # float32
    expected = measure_distances([one, other], Distance.JENSEN_SHANNON)
    np.testing.assert_allclose(found["matrix"], expected, rtol=1e-5)  # likewise


def test_block_averages_of_compared_heads_fit_the_terminal() -> None:
    answer = attn("compare", *RANDOM)
    assert answer.out.count("pooled: each cell is the total weight on 96 keys") == 3
    assert max(map(len, answer.out.splitlines())) <= 80


def test_the_default_head_of_a_long_text_is_chosen_by_its_first_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading = reading_of(LONG, "random")
    window = reading.window("0", None, None, most=40)
    (attention,) = reading.source.attentions(reading.texts, reading.kind, [0])
    weights = attention.steps(range(4), {Step.WEIGHTS})[Step.WEIGHTS][:, :512, :512]
    counts = spied(monkeypatch)
    found = choose_default_head(reading, None, window)
    assert found.head.head == measure_sharpness(weights, np.zeros(512, dtype=bool)).argmax()
    assert counts == [512, 512, 512, 512, 1, 512]  # its evidence covers as many tokens


def spied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of queries in each call of `steps`."""
    counts = list[int]()
    steps = Attention.steps

    def counted(self: Attention, *asked: Any) -> Any:
        counts.append(self.operands.queries.shape[-2])
        return steps(self, *asked)

    monkeypatch.setattr(Attention, "steps", counted)
    return counts


@pytest.mark.parametrize(("heads", "cells"), [(1, 1024), (4, 512), (64, 128), (100, 128)])
def test_the_heads_of_a_file_share_a_million_cells_and_each_has_some(heads: int, cells: int) -> None:
    assert shared_out(heads) == cells
