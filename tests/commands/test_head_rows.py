"""`attn inspect --rows it -l all --top 3`: where a token looks, with a line for each head."""

from pathlib import Path

import numpy as np
import pytest

from attn_cli.commands.results.head_rows import FEW
from tests.support.families import FAMILIES
from tests.support.sinks import Sinks
from tests.support.worlds import attn, attn_in_terminal

TEXT = "The animal did not cross the street because it was too tired"
ONE = ("inspect", TEXT, "--rows", "it", "--top", "3")


def table(*words: str | Path) -> list[str]:
    """The title and the lines of the first table."""
    return attn(*words).out.split("\n\n")[1].splitlines()


def test_one_query_has_a_line_for_each_head_with_its_pattern() -> None:
    title, *lines, rest = table(*ONE, "-l", "all")
    assert title == "weights · query 10 it · 32 × 14 · range 0 to 1"
    assert [line.split()[0] for line in lines] == [
        f"{layer}.{head}" for layer in range(4) for head in range(8)
    ]
    assert lines[0] == "0.0 current-token  → 10 it      █1.00   5 not      0.00   7 the      0.00"
    assert lines[3] == "0.3                →  6 cross   ░0.28   8 street  ░0.23   9 because  0.17"
    assert rest == "the 3 largest of 11 in each row"


def test_a_line_has_the_largest_weights_of_its_head() -> None:
    _, *lines, _ = table(*ONE, "-l", "2")
    whole = attn("inspect", TEXT, "--rows", "it", "-l", "2", "-s", "weights", "--json").document
    for line, entry in zip(lines, whole["attention"], strict=True):
        (weights,) = np.array(entry["steps"]["weights"])
        keys = np.argsort(-weights, kind="stable")[:3]
        shown = [word for word in line.partition("→")[2].replace("█", " ").split() if word.isdecimal()]
        assert shown == [str(key) for key in keys], line


def test_a_few_queries_have_a_line_each_and_more_a_table_for_each_head() -> None:
    title, *lines, _ = table("inspect", TEXT, "--rows", f"8-{7 + FEW}", "--top", "2", "--heads", "0.3,2.7")
    assert title == "weights · queries 8 street, 9 because, 10 it, 11 was · 8 × 14 · range 0 to 1"
    assert [line.partition("→")[0].strip() for line in lines] == [
        f"{head} {token}" for head in ("0.3", "2.7") for token in ("8 street", "9 because", "10 it", "11 was")
    ]
    more = attn(
        "inspect", TEXT, "--rows", f"8-{8 + FEW}", "--top", "2", "--heads", "0.3,2.7", "-s", "weights"
    )
    assert "weights 0.3 · 5 × 14" in more.out
    assert "weights 2.7 · 5 × 14" in more.out


@pytest.mark.parametrize("words", [("--heads", "0.3"), ("-l", "0"), ()], ids=str)
def test_one_head_or_no_top_has_its_own_table(words: tuple[str, ...]) -> None:
    given = ONE if words != ("-l", "0") else ONE[:4]
    assert "query 10 it" not in attn(*given, *words).out


def test_other_steps_are_listed_too_and_vectors_by_head() -> None:
    out = attn(*ONE, "--heads", "0.3,2.7", "-s", "scores,queries").out
    assert "scores · query 10 it · 2 × 14 · " in out
    assert "queries 0.3 · 1 × 32" in out
    assert "weights" not in out


def test_numbers_for_programs_are_as_they_were() -> None:
    with_top, without = (attn(*words, "-l", "0", "--json").document for words in (ONE, ONE[:4]))
    assert with_top == without


def test_hidden_keys_and_masked_keys_are_not_listed_and_what_they_took_is() -> None:
    title, first, *_ = table(
        "inspect", "the cat sat", "--rows", "1", "--top", "3", "-l", "1", "--hide", "first"
    )
    assert title.startswith("weights · query 1 the · 8 × 3 · hidden 0.")
    assert "hidden" in first
    assert first.endswith("1 the  0.01") or first.split("|")[1].split()[:2] == ["1", "the"]
    assert "cat" not in first


def test_a_head_without_a_learned_sink_has_no_number_beside_those_that_have_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = Sinks(np.array([1.0, -2.0]), None)
    monkeypatch.setattr("attn_cli.models.open.open_source", lambda *_, **__: source)
    _, *lines, _ = table("inspect", "the cat sat", "--rows", "-1", "--top", "1", "-l", "all")
    beside = [line.partition("sink ")[2].partition(" |")[0].strip() for line in lines]
    assert [text.lstrip("░▒▓█").replace(".", "").isdecimal() for text in beside] == [True, True, False, False]
    assert beside[2:] == ["·", "·"]


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_lines_fit_the_terminal(columns: str) -> None:
    answer = attn_in_terminal(*ONE, "-l", "all", COLUMNS=columns)
    lines = answer.out.splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert sum("→" in line for line in lines) == 32


def test_a_long_text_lists_the_keys_of_whole_rows(tmp_path: Path) -> None:
    FAMILIES["mistral"].save(tmp_path)
    path = tmp_path / "long.txt"
    path.write_text("the cat sat on a mat " * 200)
    line = ("inspect", "--file", path, "-m", tmp_path, "--rows", "-1", "--top", "2")
    _, *lines = table(*line, "-l", "all")
    heads = [found for found in lines if "→" in found]
    whole = attn(*line, "-l", "all", "-s", "weights", "--json").document["attention"]
    assert len(heads) == len(whole)
    for found, entry in zip(heads, whole, strict=True):
        (weights,) = np.array(entry["steps"]["weights"])
        assert str(int(weights.argmax())) in found.split()
