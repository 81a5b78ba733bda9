"""`--rows` and `--columns` by words of the text: the same as by position, in every command that has them."""

from pathlib import Path

import pytest

from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.worlds import attn, refused

_OTHER = "--rows 0, or a word of the text: attn tokens lists the tokens"
TEXT = "The animal did not cross the street because it was too tired"


def sides(*arguments: str | Path) -> tuple[list[int], list[int]]:
    """The positions of the queries and keys that `attn inspect` shows."""
    (entry,) = attn("inspect", *arguments, "-s", "weights", "--json").document["attention"]
    return entry["queries"], entry["keys"]


def test_inspect_shows_the_rows_and_columns_of_words() -> None:
    chosen = ("--heads", "2.5", "--rows", "it,special", "--columns", "animal,the street")
    assert sides(TEXT, *chosen) == ([0, 10], [2, 3, 7, 8])


@pytest.mark.parametrize("command", ["inspect", "heatmap", "compare"])
def test_words_show_what_their_positions_show(command: str, tmp_path: Path) -> None:
    written = []
    for name, rows, columns in (("word", "it@1", "animal,first"), ("place", "10", "0,2-3")):
        file = tmp_path / f"{name}.svg" if command == "heatmap" else tmp_path / f"{name}.json"
        chosen = ("--heads", "2.5,1.0", "--rows", rows, "--columns", columns)
        assert attn(command, TEXT, *chosen, "-o", file).status == 0
        written.append(file.read_text("utf-8"))
    assert written[0] == written[1]


def test_an_unknown_word_is_wrong_usage() -> None:
    problem = "'anmal' is not a word of the text: the nearest is 'animal'"
    assert refused(attn("inspect", TEXT, "--columns", "anmal")) == (2, problem, "--columns animal")


def test_both_texts_of_a_pair_are_searched(twins: Path, tmp_path: Path) -> None:
    pair = (
        "the cat sat",
        "--pair",
        "and the cat was tired",
        "-H",
        "0",
        "-l",
        "0",
        "--columns",
        "cat",
        "--rows",
    )
    assert sides(*pair, "cat@2", "-m", twins / "bert") == ([7], [2, 7])
    FAMILIES["distilbert"].save(tmp_path)  # is not told which text a token belongs to
    assert sides(*pair, "cat@-1", "-m", tmp_path) == ([7], [2, 7])
    assert sides(*pair, "cat was", "-m", tmp_path, "--no-special") == ([5, 6], [1, 5])


def test_words_are_those_of_the_text_that_a_side_belongs_to(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    line = ("the cat sat", "--target", "the mat was tired", "-m", tmp_path, "--heads", "0.0")
    target = attn("tokens", *line[:-2], "--json").document["target_tokens"]
    rows, columns = sides(*line, "--kind", "cross", "--rows", "mat", "--columns", "cat")
    assert "".join(target[row]["text"] for row in rows).strip() == "mat"
    assert columns != rows
    problem = "'cat' is not a word of the decoder's text: the mat was tired"
    wrong = ("--kind", "cross", "--rows", "cat")
    assert refused(attn("inspect", *line, *wrong)) == (2, problem, _OTHER)
    assert sides(*line, "--kind", "decoder", "--columns", "mat", "--rows", "first") == ([0], rows)


def test_a_value_with_an_equals_sign_is_text() -> None:
    line = ("inspect", "in 7 of 7", "-m", "random", "--heads", "0.0", "-s", "weights", "--json")
    for typed in (("--rows", "=7"), ("--rows==7",)):
        assert attn(*line, *typed).document["attention"][0]["queries"] == [1, 3]
