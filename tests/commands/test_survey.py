"""`attn survey`: heads over many documents, and `attn heads --from`, which lists them."""

import csv
import io
import json
import math
import os
import shlex
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from attn_cli.models.source import SourceRequest
from attn_cli.show import data
from attn_cli.survey.measuring import Surveyor
from attn_cli.survey.records import Batch, Document, SurveyRequest
from attn_cli.vocabulary import Metric, Pattern
from tests.support.worlds import Answer, attn, attn_in_terminal, refused

TEXTS = (
    "Then Uncle Sam sang, and Uncle Sam sang well.",
    "Tom Thumb went to sea, and Tom Thumb went home again.",
    "The cat sat on the mat.",
    "The red hen and the red fox ran to the red barn, and the red hen ran home.",
)
T_975 = {1: 12.706205, 2: 4.302653, 3: 3.182446}  # of a printed table, by degrees of freedom
OUTPUT = ("kind", "layer", "head", "metric", "mean", "deviation", "low", "high", "rows", "documents")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a file of texts, and the results of a survey in every kind of file."""
    place = tmp_path_factory.mktemp("survey")
    (place / "texts.txt").write_text("\n".join(TEXTS) + "\n\n")
    out = [part for suffix in ("parquet", "csv", "json") for part in ("-o", place / f"found.{suffix}")]
    each = ("--each", place / "each.csv")
    answer = attn("survey", place / "texts.txt", *out, *each, "--workers", "2")
    assert (answer.status, answer.out) == (0, "")
    return place


def found(place: Path, name: str = "found.json") -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((place / name).read_text())
    return answer


def lines(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def surveyed(*arguments: str | Path, stdin: str = "\n".join(TEXTS)) -> dict[str, Any]:
    answer = attn("survey", *arguments, "--json", "--workers", "1", stdin=stdin)
    assert answer.status == 0, answer.err
    return answer.document


def by_place(rows: list[dict[str, Any]], name: str) -> dict[tuple[str, int, int], dict[str, Any]]:
    return {(row[name], row["layer"], row["head"]): row for row in rows}


def test_every_number_is_that_of_attn_heads_document_by_document(place: Path) -> None:
    of_heads = {
        (str(number), str(head["layer"]), str(head["head"])): head
        for number, text in enumerate(TEXTS)
        for head in attn("heads", text, "--no-probe", "--json").document["heads"]
    }
    for line in lines(place / "each.csv"):
        head = of_heads[line["document"], line["layer"], line["head"]]
        for metric in Metric:
            if metric in line:
                is_there = line[metric] != ""
                assert is_there == (head[metric] is not None)
                # float32, and batches may add in another order
                assert not is_there or float(line[metric]) == pytest.approx(head[metric], abs=1e-6)
        for share in head["patterns"]:
            assert float(line[f"pattern.{share['name']}"]) == pytest.approx(share["share"], abs=1e-6)


def values(place: Path, prefix: str = "") -> dict[tuple[str, int, int], list[float]]:
    """The values of the documents that have one, by metric and head."""
    found = defaultdict[tuple[str, int, int], list[float]](list)
    for line in lines(place / "each.csv"):
        for name, value in line.items():
            if value and (name.removeprefix(prefix) in (set(Pattern) if prefix else set(Metric))):
                head = int(line["layer"]), int(line["head"])
                if name.startswith(prefix):
                    found[name.removeprefix(prefix), *head].append(float(value))
    return found


def test_means_and_intervals_are_those_of_an_own_loop_over_the_documents(place: Path) -> None:
    rows = by_place(found(place)["survey"], "metric")
    expected = values(place)
    assert expected.keys() == {key for key, row in rows.items() if row["documents"]}
    for key, numbers in expected.items():
        row, count = rows[key], len(numbers)
        assert row["documents"] == count
        assert row["mean"] == pytest.approx(statistics.fmean(numbers), abs=1e-12)
        if count > 1:
            deviation = statistics.stdev(numbers)
            half = T_975[count - 1] * deviation / math.sqrt(count)
            assert row["deviation"] == pytest.approx(deviation, abs=1e-12)
            # the table has seven digits
            assert row["high"] - row["mean"] == pytest.approx(half, rel=1e-6)
            assert row["mean"] - row["low"] == pytest.approx(half, rel=1e-6)
        else:
            assert row["deviation"] is row["low"] is row["high"] is None


def test_shares_of_documents_are_those_of_an_own_loop(place: Path) -> None:
    rows = by_place(found(place)["patterns"], "pattern")
    expected = values(place, "pattern.")
    assert expected.keys() == rows.keys()
    for (pattern, *head), numbers in expected.items():
        least = 0.75 if pattern == "broad" else 0.2
        row = rows[pattern, head[0], head[1]]
        assert row["share"] == sum(number >= least for number in numbers) / len(numbers)
        assert row["weight"] == pytest.approx(statistics.fmean(numbers), abs=1e-12)
        assert row["low"] <= row["share"] <= row["high"]


def test_the_object_is_valid_and_says_what_its_intervals_are(place: Path) -> None:
    answer = found(place)
    jsonschema.validate(answer, json.loads(data.schema()))
    assert answer["interval"] == "95 %, Student's t over documents; of shares of documents, Wilson's"
    corpus = answer["corpus"]
    assert (corpus["documents"], corpus["unread"], corpus["reasons"]) == (5, 1, {"blank": 1})
    assert [one["place"] for one in answer["unread"]] == [5]
    assert len(answer["survey"]) == 4 * 8 * len({row["metric"] for row in answer["survey"]})


def test_a_csv_file_has_a_line_per_head_and_metric(place: Path) -> None:
    table = lines(place / "found.csv")
    assert list(table[0]) == [*OUTPUT, "patterns"]
    expected = found(place)
    for line, row in zip(table, expected["survey"], strict=True):
        assert [line[name] for name in OUTPUT] == [
            "" if row[name] is None else str(row[name]) for name in OUTPUT
        ]
    shown = json.loads(table[0]["patterns"])
    assert [one["pattern"] for one in shown] == [
        row["pattern"] for row in expected["patterns"] if (row["layer"], row["head"]) == (0, 0)
    ]


def test_a_parquet_file_has_the_same_rows_and_all_of_the_object(place: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(place / "found.parquet")
    expected = found(place)
    assert table.select(OUTPUT).to_pylist() == expected["survey"]
    rest = json.loads(table.schema.metadata[b"attn"])
    assert rest == {name: value for name, value in expected.items() if name != "survey"}


def shell(command: str, place: Path) -> str:
    """What a command prints, with `attn` for this package."""
    attn_here = f"{shlex.quote(sys.executable)} -m attn_cli inspect --json"
    command = command.replace("attn inspect", attn_here, 1)
    done = subprocess.run(command, shell=True, cwd=place, capture_output=True, text=True, check=False)  # noqa: S602
    assert done.returncode == 0, done.stderr
    return done.stdout


def strongest(answer: dict[str, Any], pattern: str) -> dict[str, Any]:
    rows = [row for row in answer["patterns"] if row["pattern"] == pattern and row["examples"]]
    return max(rows, key=lambda row: float(row["weight"]))


def shown_weight(row: dict[str, Any], example: dict[str, Any], place: Path) -> float:
    """The weight on the previous token, or on itself, that the command of an example shows."""
    document = json.loads(shell(example["command"], place))
    (head,) = document["attention"]
    assert (head["layer"], head["head"], head["queries"]) == (row["layer"], row["head"], [example["row"]])
    back = {"previous-token": 1, "current-token": 0}[row["pattern"]]
    return float(head["steps"]["weights"][0][example["row"] - back])


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["previous-token", "current-token"])
def test_the_command_of_an_example_shows_its_row_again(place: Path, pattern: str) -> None:
    row = strongest(found(place), pattern)
    for example in row["examples"][:2]:
        assert example["command"].startswith("sed -n ")
        assert shown_weight(row, example, place) == pytest.approx(example["weight"], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "name", "content"),
    [
        ((), "a.jsonl", json.dumps({"text": '-x\'y "$HOME" `z` went home,\nand the cat sat\ton a mat!'})),
        (("--per", "file"), "-a b.txt", "The cat sat on the mat,\nand the dog sat too.\n"),
        (
            ("--window", "9"),
            "w.txt",
            "Once upon a time there was a little girl who had a red hood and a dog.",
        ),
    ],
    ids=["a text with every sign", "a file with a space", "a window"],
)
def test_texts_that_are_hard_to_quote_are_shown_again(
    tmp_path: Path, arguments: tuple[str, ...], name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    row = strongest(surveyed(tmp_path / name, *arguments), "previous-token")
    for example in row["examples"]:
        assert shown_weight(row, example, tmp_path) == pytest.approx(example["weight"], abs=1e-6)


def test_examples_are_the_strongest_rows_and_as_many_as_asked_for(place: Path) -> None:
    for row in found(place)["patterns"]:
        weights = [example["weight"] for example in row["examples"]]
        assert weights == sorted(weights, reverse=True)
        assert len(weights) <= 4  # of a document only the strongest
    none = surveyed("--examples", "0")
    assert not any(row["examples"] for row in none["patterns"])
    one = surveyed("--examples", "1")
    assert {len(row["examples"]) for row in one["patterns"]} == {1}


def test_a_document_in_windows_is_one_document() -> None:
    text = "Once upon a time there was a little girl who had a red hood. " * 8
    whole = surveyed("--window", "16", stdin=text)
    assert whole["corpus"]["documents"] == 1
    assert {row["documents"] for row in whole["survey"]} <= {0, 1}
    entropy = by_place(whole["survey"], "metric")["entropy", 0, 0]
    assert entropy["rows"] > 100
    assert entropy["deviation"] is None


def test_the_value_of_a_document_is_the_mean_over_the_rows_of_its_windows(tmp_path: Path) -> None:
    text, each = (
        "The red hen and the red fox ran to the red barn, and the old hen ran home.",
        tmp_path / "each.csv",
    )
    assert attn("survey", "--window", "8", "--each", each, "--workers", "1", stdin=text).status == 0
    surveyor = Surveyor(SurveyRequest(SourceRequest(), window=8), {})
    windows = surveyor.measure(0, Batch(0, (Document("-", 1, text),))).measured
    assert len(windows) > 2
    sums = defaultdict[str, float](float)
    for passage in (window.passage for window in windows):
        for head in attn("heads", passage.text, "--json").document["heads"]:
            sums[f"{head['layer']}.{head['head']}"] += head["entropy"] * passage.tokens  # every row counts
    tokens = sum(window.passage.tokens for window in windows)
    for line in lines(each):
        mean = sums[f"{line['layer']}.{line['head']}"] / tokens
        assert float(line["entropy"]) == pytest.approx(mean, abs=1e-6)


def test_metrics_can_be_chosen() -> None:
    answer = surveyed("--metric", "entropy,first-token")
    assert {row["metric"] for row in answer["survey"]} == {"entropy", "first-token"}


def test_rows_and_keys_can_be_chosen_in_each_document() -> None:
    options = ("--on", "first", "--rows", "2-")
    answer = surveyed(*options, "--metric", "on", stdin="\n".join(TEXTS[:2]))
    rows = by_place(answer["survey"], "metric")
    both = [attn("heads", text, *options, "--json").document["heads"] for text in TEXTS[:2]]
    for first, second in zip(*both, strict=True):
        row = rows["on", first["layer"], first["head"]]
        assert row["mean"] == pytest.approx((first["on"] + second["on"]) / 2, abs=1e-6)
    assert answer["patterns"] == []  # few rows are evidence for none


def test_a_word_that_a_document_lacks_is_counted() -> None:
    answer = surveyed("--on", "Uncle")
    assert answer["corpus"]["unread"] == len(TEXTS) - 1
    assert by_place(answer["survey"], "metric")["on", 0, 0]["documents"] == 1


def test_what_cannot_be_read_is_counted_and_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"The cat sat on a mat.\n\ncaf\xe9\n\n")
    answer = attn("survey", tmp_path / "a.txt", "--workers", "1")
    remark = (
        f"3 of 4 documents were not measured: 2 blank, 1 not UTF-8; the first is {tmp_path}/a.txt, line 2"
    )
    assert remark in answer.err.splitlines()
    assert answer.status == 0
    status, problem, hint = refused(attn("survey", tmp_path / "a.txt", "--strict", "--workers", "1"))
    assert (status, problem) == (1, f"{tmp_path}/a.txt, line 2: blank")
    assert hint == "leave out --strict, which counts such documents"


def test_a_document_that_cannot_be_measured_is_an_error_too_if_strict(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Uncle Sam sang\nthe cat sat\n")
    answer = attn("survey", tmp_path / "a.txt", "--on", "Uncle", "--strict", "--workers", "1")
    assert refused(answer)[1].startswith(f"{tmp_path}/a.txt, line 2: ")


def test_a_survey_that_ended_early_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_bytes(b"\n".join([*(text.encode() for text in TEXTS * 40), b"caf\xe9", b"the cat sat"]))
    out, whole = tmp_path / "found.json", tmp_path / "whole.json"
    ended = attn("survey", texts, "-o", out, "--strict", "--workers", "1")
    partial = f"{out}.partial has what was measured so far: --resume goes on with the same files and options"
    assert ended.status == 1
    assert partial in ended.err.splitlines()  # after the progress, on a slow machine
    again = attn("survey", texts, "-o", out, "--workers", "1")
    assert refused(again)[1:] == (
        f"an interrupted survey is in {out}.partial",
        "--resume to go on with it, --force to start anew",
    )
    assert attn("survey", texts, "-o", out, "--workers", "1", "--resume").status == 0
    assert attn("survey", texts, "-o", whole, "--workers", "2").status == 0
    assert out.read_bytes() == whole.read_bytes()
    assert not Path(f"{out}.partial").exists()


def test_a_random_layer_which_has_no_file_of_weights_is_surveyed_too(tmp_path: Path) -> None:
    texts, out = tmp_path / "texts.txt", tmp_path / "found.csv"
    texts.write_text("\n".join(TEXTS))
    options = ("-m", "random", "--seed", "3")
    assert attn("survey", texts, "-o", out, *options, "--workers", "1").status == 0
    one = ("heads", TEXTS[0], "-m", "random", "--seed", "3", "--no-probe", "--json")
    of_heads = {head["head"]: head["entropy"] for head in attn(*one).document["heads"]}
    measured = surveyed(*options, "--metric", "entropy", stdin=TEXTS[0])["survey"]
    assert {row["head"]: row["mean"] for row in measured} == pytest.approx(of_heads, abs=1e-6)
    assert {int(line["head"]) for line in lines(out)} == set(of_heads)


def test_other_options_are_no_survey_to_go_on_with(tmp_path: Path) -> None:
    texts, out = tmp_path / "texts.txt", tmp_path / "found.json"
    texts.write_bytes(b"the cat sat\ncaf\xe9")
    attn("survey", texts, "-o", out, "--strict", "--workers", "1")
    answer = attn("survey", texts, "-o", out, "--resume", "--window", "8", "--workers", "1")
    assert f"{out}.partial is of another survey: options was " in answer.err
    assert answer.status == 2


def test_in_a_narrow_terminal_no_number_is_cut(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    line = ("survey", tmp_path / "texts.txt", "--workers", "1", "--top", "1")
    shown = attn_in_terminal(*line, COLUMNS="40", NO_COLOR="1").out
    assert "no room for 95 % interval, weight," in shown
    _, _, table = shown.partition("pattern ")
    assert "…" not in table.partition("no room")[0]


def test_other_weights_are_no_survey_to_go_on_with(twins: Path, tmp_path: Path) -> None:
    model, texts, out = tmp_path / "model", tmp_path / "texts.txt", tmp_path / "found.json"
    shutil.copytree(twins / "gpt2", model)
    texts.write_bytes(b"the cat sat\ncaf\xe9")
    attn("survey", texts, "-m", model, "-o", out, "--strict", "--workers", "1")
    os.utime(model / "model.safetensors", (0, 0))
    status, problem, hint = refused(attn("survey", texts, "-m", model, "-o", out, "--resume"))
    assert status == 2
    assert problem.startswith(f"{out}.partial is of another survey: weights was [[")
    assert hint == "the options and files of before, or --force to start anew"


def test_the_results_say_with_which_weights_they_were_made(twins: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("the cat sat\n")
    model = attn("survey", texts, "-m", twins / "gpt2", "--workers", "1", "--json").document["model"]
    weights = (twins / "gpt2" / "model.safetensors").read_bytes()
    assert (model["checksum"], model["revision"]) == (sha256(weights).hexdigest(), None)


def test_the_numbers_of_documents_and_the_results_are_two_files(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("the cat sat\n")
    (tmp_path / "link.csv").symlink_to("found.csv")
    out, each = tmp_path / "found.csv", tmp_path / "link.csv"
    status, problem, _ = refused(attn("survey", tmp_path / "texts.txt", "-o", out, "--each", each))
    assert (status, problem) == (2, f"the file is named twice: {out} and {each}")


def test_a_library_that_is_missing_is_named_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"")
    missing = (1, ".parquet files need pyarrow, which is not installed", "pip install 'attn-cli[survey]'")
    assert refused(attn("survey", "-o", tmp_path / "b.parquet", stdin="a text")) == missing
    assert refused(attn("survey", "--each", tmp_path / "b.parquet", stdin="a text")) == missing
    assert refused(attn("survey", tmp_path / "a.parquet")) == missing
    assert refused(attn("heads", "--from", tmp_path / "a.parquet")) == missing


def test_a_text_that_is_too_long_is_left_out_or_cut(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the cat sat on a mat\n" + "the cat sat " * 2000)
    answer = surveyed(tmp_path / "a.txt")
    assert answer["corpus"]["unread"] == 1
    cut = surveyed(tmp_path / "a.txt", "--window", "128")
    assert cut["corpus"]["unread"] == 0
    assert cut["corpus"]["tokens"] > 4000


def test_of_texts_that_are_all_too_long_the_error_says_how_they_are_cut(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the cat sat " * 2000)
    status, problem, hint = refused(attn("survey", tmp_path / "a.txt", "--workers", "1"))
    assert (status, hint) == (1, "--window 512, which cuts long documents")
    assert "line 1: the text is too long: " in problem


def test_nothing_to_measure_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "a text"}\n')
    status, problem, hint = refused(attn("survey", tmp_path / "a.jsonl", "--workers", "1"))
    assert (status, hint) == (1, "--field NAME")
    assert problem == f"no document could be measured: {tmp_path}/a.jsonl, line 1: no field 'text'"
    assert refused(attn("survey", "-", "--workers", "1"))[1] == "no document was found: the files are empty"


@pytest.mark.parametrize(
    ("arguments", "problem", "hint"),
    [
        (("--stride", "4"), "--stride moves a window: no --window is given", "--window 512"),
        (
            ("--window", "8", "--stride", "9"),
            "--stride 9 leaves out tokens between windows of 8",
            "--stride 8, or less",
        ),
        (
            ("--metric", "on"),
            "on is the weight on chosen keys: no key is chosen",
            "--on first, or other keys",
        ),
        (
            ("--resume",),
            "--resume cannot tell whether the documents are the same: standard input is a pipe",
            "save it to a file first",
        ),
        (
            ("--gpus-per-worker", "1"),
            "--gpus-per-worker shares out the GPUs of a cluster: no --ray is given",
            "--ray auto, or --device cuda with --workers 1",
        ),
        (
            ("-o", "found.npz"),
            "this command writes no '.npz' file: found.npz",
            "a name that ends in .parquet, .csv, .json, .png, .svg or .pdf",
        ),
    ],
)
def test_options_without_a_meaning_are_refused(arguments: tuple[str, ...], problem: str, hint: str) -> None:
    assert refused(attn("survey", *arguments, stdin="a text")) == (2, problem, hint)


def test_a_file_is_kept_unless_forced(place: Path) -> None:
    kept = (place / "found.csv").read_bytes()
    status, problem, _ = refused(attn("survey", place / "texts.txt", "-o", place / "found.csv"))
    assert (status, problem) == (1, f"the file exists: {place}/found.csv")
    assert (place / "found.csv").read_bytes() == kept
    assert refused(attn("survey", place / "texts.txt", "--each", place / "each.csv"))[0] == 1


def test_nothing_is_left_beside_the_output(place: Path) -> None:
    names = {path.name for path in place.iterdir()}
    assert {name for name in names if "partial" in name or name.startswith(".")} == set()


def test_the_summary_has_a_map_its_intervals_and_the_clearest_heads() -> None:
    answer = attn("survey", "--workers", "1", stdin="\n".join(TEXTS))
    assert answer.status == 0
    assert "\nmean entropy, layer × head · 4 × 8 · range 0 to " in answer.out
    assert "\n± 95 % of mean entropy, layer × head · 4 × 8 · range 0 to " in answer.out
    listed = [line.split() for line in answer.out.splitlines() if line.startswith("previous-token")]
    assert listed[0][:3] == ["previous-token", "0.2", "1.00"]
    interval = "intervals: 95 %, Student's t over documents; of shares of documents, Wilson's"
    assert answer.err.splitlines()[-2:] == [
        f"{interval}; a document shows a pattern as attn heads --no-probe lists it",
        "a sink at the first token (mean weight above 0.3): 25 of 32 heads, 0.781",
    ]


@pytest.mark.parametrize("columns", [40, 80])
def test_the_summary_fits_the_terminal(place: Path, columns: int) -> None:
    answer = attn_in_terminal("survey", place / "texts.txt", "--workers", "1", COLUMNS=str(columns))
    table = answer.out.partition("rows that follow")[0]
    assert max(map(len, table.splitlines())) <= columns
    assert "\x1b" not in answer.out


def test_a_picture_has_the_means_and_their_intervals(place: Path, tmp_path: Path) -> None:
    answer = attn("heads", "--from", place / "found.csv", "-o", tmp_path / "a.svg")
    assert (answer.status, answer.err) == (0, f"wrote {tmp_path}/a.svg\n")
    assert (tmp_path / "a.svg").read_text().count("entropy") >= 2


def from_file(place: Path, *arguments: str, name: str = "found.parquet") -> Answer:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    return attn("heads", "--from", place / name, *arguments)


def heads_of(out: str) -> list[str]:
    table = out.rpartition("\n\n")[2].splitlines()
    return [line.split()[0] for line in table if line[:1].isdigit()]


@pytest.mark.parametrize("name", ["found.parquet", "found.csv", "found.json"])
def test_heads_of_a_file_are_listed_filtered_and_sorted(place: Path, name: str) -> None:
    every = from_file(place, "--top", "0", name=name)
    assert len(heads_of(every.out)) == 32
    previous = from_file(place, "--where", "pattern=previous-token", "--where", "layer=0", name=name)
    assert heads_of(previous.out) == ["0.2"]
    far = from_file(place, "--sort", "distance", "--top", "3", name=name)
    rows = by_place(found(place)["survey"], "metric")
    means = {f"{layer}.{head}": row["mean"] for (m, layer, head), row in rows.items() if m == "distance"}
    assert heads_of(far.out) == sorted(means, key=lambda head: -means[head])[:3]
    only = from_file(place, "--heads", "2.7,0.1", "--metric", "first-token", name=name)
    assert sorted(heads_of(only.out)) == ["0.1", "2.7"]


def test_chosen_heads_of_a_file_are_an_object_of_the_same_schema(place: Path, tmp_path: Path) -> None:
    answer = from_file(place, "--where", "first-token>0.8", "--sort", "first-token", "--json").document
    jsonschema.validate(answer, json.loads(data.schema()))
    heads = list(dict.fromkeys((row["layer"], row["head"]) for row in answer["survey"]))
    assert heads[0] == (2, 5)
    written = from_file(
        place, "--where", "first-token>0.8", "-o", str(tmp_path / "some.csv"), name="found.csv"
    )
    assert written.status == 0
    assert {(int(line["layer"]), int(line["head"])) for line in lines(tmp_path / "some.csv")} == set(heads)
    status, problem, _ = refused(from_file(place, "--json", name="found.csv"))
    assert (status, problem) == (
        2,
        f"{place}/found.csv has the rows alone, not the model and documents of a JSON object",
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("a text",), "--from lists heads that were measured before: TEXT was given too"),
        (("--rows", "3"), "--from lists heads that were measured before: --rows was given too"),
        (("--probe",), "--from lists heads that were measured before: --probe was given too"),
        (("-m", "random"), "--from lists heads that were measured before: --model was given too"),
    ],
)
def test_what_would_measure_is_refused_beside_a_file(
    place: Path, arguments: tuple[str, ...], problem: str
) -> None:
    assert refused(from_file(place, *arguments, name="found.json"))[:2] == (2, problem)


def test_a_metric_that_a_file_lacks_is_refused(place: Path) -> None:
    status, problem, hint = refused(from_file(place, "--where", "on>0.5", name="found.json"))
    assert (status, problem) == (2, f"{place}/found.json has no on")
    assert hint.startswith("one of entropy, largest, ")


GOOD = "kind,layer,head,metric,mean,deviation,low,high,rows,documents,patterns\n"
ROW = "self,0,0,entropy,1.5,,,,10,1,[]\n"
DAMAGED = [
    ("a.csv", "layer,head\n0,1\n", "no kind"),
    ("a.csv", GOOD, "it has no rows"),
    ("a.csv", GOOD + ROW + ROW, "head 0.0 has entropy twice"),
    ("a.csv", GOOD + ROW.replace("1.5", "nan"), "a number of head 0.0 cannot be"),
    ("a.csv", GOOD + ROW.replace("1.5", "much"), "could not convert string to float: 'much'"),
    ("a.csv", GOOD + ROW + ROW.replace("self", "encoder"), "its rows are of several kinds of attention"),
    ("a.json", '{"heads": []}', "no survey"),
    ("a.json", "[]", "its fields are of another kind"),
    ("a.json", "{", "it cannot be parsed"),
]


@pytest.mark.parametrize(("name", "content", "why"), DAMAGED)
def test_a_file_that_no_survey_wrote_is_refused(tmp_path: Path, name: str, content: str, why: str) -> None:
    (tmp_path / name).write_text(content)
    status, problem, hint = refused(attn("heads", "--from", tmp_path / name))
    assert (status, problem) == (1, f"{tmp_path / name} has no results of attn survey: {why}")
    assert hint == "a .parquet, .csv or .json file that attn survey wrote"


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    status, problem, _ = refused(attn("heads", "--from", tmp_path / "a.parquet"))
    assert (status, problem) == (1, f"{tmp_path}/a.parquet has no results of attn survey: it is damaged")
    assert refused(attn("heads", "--from", tmp_path / "a.txt"))[0] == 2
