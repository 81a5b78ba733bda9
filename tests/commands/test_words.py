"""`--words`: rows and columns are words, whatever pieces a tokenizer cuts them into, in every command."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import safetensors.numpy

from attn_cli.analysis.distance import measure_distances
from attn_cli.reading import window
from attn_cli.reading.token_selection.text_side import TextSide
from attn_cli.show.picture.marks import Drawing, Word
from attn_cli.vocabulary import Distance
from tests.support.documents import Model, document
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.own_words import SCRIPTS, words_by_hand
from tests.support.readings import reading_of
from tests.support.twins import minilm
from tests.support.worlds import attn, refused

TEXT = "The animal didn't cross the street."  # <s> The anim al didn 't cross the street .
WORDS = ["<s>", "The", "animal", "didn't", "cross", "the", "street", "."]
SINK = np.array([1.0, -2.0])
EXACT = 1e-6  # of weights written as float32

Numbers = npt.NDArray[np.floating]


def matrix(entry: dict[str, Any], step: str = "weights") -> Numbers:
    return np.array(entry["steps"][step], dtype=np.float64)


def sink_of(entry: dict[str, Any]) -> Numbers:
    return np.array(entry["sink"]["weight"] if "sink" in entry else np.zeros(len(entry["queries"])))


def merged(rows: Numbers, queries: Sequence[Sequence[int]], keys: Sequence[Sequence[int]]) -> Numbers:
    """The rows (T, S) of tokens as rows (P, W) of words."""
    sums = np.stack([rows[:, list(tokens)].sum(axis=1) for tokens in keys], axis=1)
    return np.stack([sums[list(tokens)].mean(axis=0) for tokens in queries])


def check_words(
    line: Sequence[str | Path],
    sides: tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]] | None = None,
) -> None:
    """Rows of words, without some of them and divided, equal those of the full matrices of tokens."""
    line = ("inspect", *line, "-s", "weights")
    tokens, words = document(*line), document(*line, "--words")
    listed = words["words"] if "words" in words else words["target_words"]
    keys = [word["tokens"] for word in listed]
    queries = [word["tokens"] for word in words.get("target_words", listed)]
    assert sides is None or sides == (queries, keys)
    hidden = [0, len(keys) // 2]
    hide = ",".join(str(keys[place][0]) for place in hidden)
    part = document(*line, "--words", "--hide", hide)["attention"]
    divided = document(*line, "--words", "--hide", hide, "--renormalize")["attention"]
    others = [place for place in range(len(keys)) if place not in hidden]
    for whole, entry, rest, quotients in zip(
        tokens["attention"], words["attention"], part, divided, strict=True
    ):
        expected = merged(matrix(whole), queries, keys)
        sink = merged(sink_of(whole)[:, None], queries, [[0]])[:, 0]
        assert (entry["queries"], entry["keys"]) == (list(range(len(queries))), list(range(len(keys))))
        np.testing.assert_allclose(matrix(entry), expected, atol=EXACT)
        np.testing.assert_allclose(matrix(entry).sum(axis=1) + sink, 1, atol=1e-5)
        taken, left = expected[:, hidden].sum(axis=1), expected[:, others].sum(axis=1)
        assert rest["hidden"]["keys"] == hidden
        np.testing.assert_allclose(matrix(rest), expected[:, others], atol=EXACT)
        np.testing.assert_allclose(rest["hidden"]["weight"], taken, atol=EXACT)
        total = np.array(rest["hidden"]["weight"]) + matrix(rest).sum(axis=1) + sink_of(rest)
        np.testing.assert_allclose(total, 1, atol=1e-5)
        has_some = left > 1e-3  # a smaller rest has lost digits in JSON
        shown = expected[:, others] / np.where(left > 0, left, 1)[:, None]
        np.testing.assert_allclose(matrix(quotients)[has_some], shown[has_some], atol=1e-3)
        np.testing.assert_allclose(matrix(quotients)[has_some].sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("text", SCRIPTS)
@pytest.mark.parametrize("name", ["storybook", "minilm", "bert", "gpt2", "llama"])
def test_rows_equal_an_own_computation_in_every_script(name: str, text: str, twins: Path) -> None:
    known = {"storybook": "storybook", "minilm": str(minilm())}
    model = known.get(name, str(twins / name))
    reading = reading_of(text, model)
    own = words_by_hand(TextSide(reading.tokens, (text,)))
    check_words((text, "-m", model, "-l", "1"), (own, own))


@pytest.mark.parametrize("family", ["mistral", "gemma2", "bloom", "mpnet", "gpt_neo"])
def test_rows_equal_an_own_computation_with_windows_alibi_and_grouped_heads(
    family: str, tmp_path: Path
) -> None:
    FAMILIES[family].save(tmp_path)
    check_words(("the cat's sat, on-the tired naïve mats.", "-m", tmp_path, "-l", "0-1"))


@pytest.mark.parametrize("sink", [SINK, np.arange(20.0).reshape(2, 10)])
def test_rows_equal_an_own_computation_with_sinks(sink: Numbers, model: Model, monkeypatch: Any) -> None:
    model(sink)
    spelled_out(monkeypatch)
    check_words(("abcd efg hij", "--heads", "0.0,0.1"))


def spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the random layer read letters instead of words."""
    from attn_cli.models import random_layer
    from attn_cli.models.tokens.token import Token

    def letters(text: str) -> tuple[Token, ...]:
        places = [place for place, letter in enumerate(text) if not letter.isspace()]
        return tuple(
            Token(
                number, ord(text[place]), text[place], text[place], place, place + 1, special=False, segment=0
            )
            for number, place in enumerate(places)
        )

    monkeypatch.setattr(random_layer, "words", letters)


def test_rows_equal_an_own_computation_in_cross_attention(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    line = ("the cat's tired", "--target", "on the mats", "-m", tmp_path, "-l", "0")
    for kind in ("encoder", "decoder", "cross"):
        check_words((*line, "--kind", kind))
    answer = document("inspect", *line, "--kind", "cross", "--words")
    assert [word["text"] for word in answer["words"]] == ["the", "cat's", "tired"]
    first, *others = answer["target_words"]
    assert (first["special"], first["tokens"]) == (True, [0])
    assert [word["text"] for word in others][:2] == ["on", "the"]
    decoder = document("inspect", *line, "--kind", "decoder", "--words")
    assert "words" not in decoder
    assert decoder["target_words"] == answer["target_words"]


def test_words_of_two_texts_stay_apart() -> None:
    line = ("it's un", "--pair", "happy it's", "-m", str(minilm()), "--heads", "5.3", "--words")
    words = document("inspect", *line)["words"]
    assert [word["text"] for word in words] == ["[CLS]", "it's", "un", "[SEP]", "happy", "it's", "[SEP]"]
    assert [word["segment"] for word in words] == [0, 0, 0, 0, 1, 1, 1]
    assert [(word["start"], word["end"]) for word in words[4:6]] == [(0, 5), (6, 10)]


TABLE = """\
storybook · gpt2 · 4 layers × 8 heads of 32 features · 7 tokens in 5 words
numpy, float32, cpu
0 <s>  1 The  2-3 animal  4-5 didn't  6 cross

weights 0.3 · 5 × 5 · range 0 to 1
               0      1      2      4      6
             <s>    The animal didn't  cross
0 <s>      █1.00      ·      ·      ·      ·
1 The      █0.99   0.01      ·      ·      ·
2 animal   █0.81   0.03   0.16      ·      ·
4 didn't   ▓0.60   0.06  ░0.22   0.13      ·
6 cross     0.14   0.02  ░0.40  ░0.26   0.18
"""


def test_a_table_has_words_with_the_position_of_their_first_token() -> None:
    answer = attn("inspect", "The animal didn't cross", "--heads", "0.3", "--words")
    assert (answer.out, answer.err) == (TABLE, "")


def test_selected_tokens_show_their_words_whole_and_say_so() -> None:
    line = ("inspect", TEXT, "--heads", "0.3", "--words")
    answer = attn(*line, "--rows", "3,cross", "--columns", "animal,4-8", "--hide", "8")
    assert answer.err == "--rows selects a part of a word, taken whole: 2-3 animal\n"
    assert "\n2 animal " in answer.out
    entry = document(*line, "--rows", "3,cross", "--columns", "animal,4-8", "--hide", "8")["attention"][0]
    assert (entry["queries"], entry["keys"], entry["hidden"]["keys"]) == ([2, 4], [2, 3, 4, 5], [6])
    hidden = attn(*line, "--hide", "2,5,1")
    assert hidden.err == "--hide selects a part of a word, taken whole: 2-3 animal, 4-5 didn't\n"
    assert "hidden: 1 The  2 animal  4 didn't\n" in hidden.out


def test_a_word_that_tokens_only_partly_cover_takes_them_whole_and_says_so() -> None:
    line = ("inspect", "it's it, and it's it's fine", "-m", "random", "--heads", "0.1", "-s", "weights")
    answer = attn(*line, "--rows", "it")
    assert answer.err.splitlines() == [
        "--rows: 'it' is a part of token 0 it's, taken whole",
        "--rows: 'it' is a part of token 4 it's, taken whole",
        "--rows: and so in 1 more place",
    ]
    assert attn(*line, "--hide", "it@2").err == ""
    assert attn(*line, "--hide", "it@1").err == "--hide: 'it' is a part of token 0 it's, taken whole\n"
    assert attn(*line, "--columns", "it's,and").err == ""


def test_a_remark_names_the_beginning_of_a_long_word() -> None:
    line = ("inspect", "the unbelievablenessesabcdefghi", "--heads", "0.1", "--words", "--rows", "3")
    (remark,) = attn(*line).err.splitlines()
    assert remark.partition(": ")[2].partition(" ")[2] == "unbelievablenessesabcde…"


def test_words_that_share_a_token_are_said_to_be_one() -> None:
    said = "words that share a token are shown as one: "
    answer = attn("inspect", 'She said "no". Then...', "--words", "--heads", "0.1", "-m", str(minilm()))
    assert said not in answer.err
    answer = attn("inspect", "No.. yes", "--words", "--heads", "0.1")
    assert answer.err == f"{said}2 ..\n"


def test_the_head_shown_by_default_is_that_of_tokens() -> None:
    of_tokens, of_words = (attn("inspect", TEXT, "-s", "weights", *more) for more in ([], ["--words"]))
    assert of_words.err == of_tokens.err
    assert of_words.err.startswith("head 0.2 is shown")
    assert "weights 0.2 · 8 × 8" in of_words.out


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_files_of_arrays_carry_the_words(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"heads{suffix}"
    line = (TEXT, "--heads", "0.3", "--words", "--hide", "first")
    assert attn("inspect", *line, "-o", path).status == 0
    answer = document("inspect", *line)
    if suffix == ".npz":
        found = dict(np.load(path))
        meta = json.loads(str(found["meta"]))
    else:
        found = safetensors.numpy.load_file(path)
        with safetensors.safe_open(path, "numpy") as file:
            meta = json.loads(file.metadata()["meta"])
    assert meta["words"] == answer["words"]
    np.testing.assert_allclose(found["self.0.3.weights"], matrix(answer["attention"][0]), rtol=1e-6)
    assert found["self.0.3.hidden_weight"].shape == (len(WORDS),)


def test_csv_has_words_in_place_of_tokens(tmp_path: Path) -> None:
    path = tmp_path / "heads.csv"
    assert attn("inspect", TEXT, "--heads", "0.3", "--words", "-s", "mask,weights", "-o", path).status == 0
    lines = list(csv.DictReader(io.StringIO(path.read_text())))
    assert len(lines) == 2 * len(WORDS) ** 2
    assert [line["column_token"] for line in lines[: len(WORDS)]] == WORDS
    assert [line["row"] for line in lines[:: len(WORDS)]] == [*map(str, range(8))] * 2


def test_json_lists_each_word_with_its_tokens() -> None:
    words = document("inspect", TEXT, "--heads", "0.3", "--words")["words"]
    assert [word["text"] for word in words] == WORDS
    assert words[2] == {
        "position": 2,
        "text": "animal",
        "start": 4,
        "end": 10,
        "special": False,
        "segment": 0,
        "tokens": [2, 3],
    }
    assert words[0]["special"]
    assert "words" not in document("inspect", TEXT, "--heads", "0.3")


def test_pictures_have_words_as_labels_and_say_so(drawings: list[Drawing], tmp_path: Path) -> None:
    line = ("heatmap", TEXT, "--heads", "0.3", "--words", "--hide", "first", "-o", tmp_path / "a.png")
    assert attn(*line).status == 0
    texts = [mark.text for mark in drawings[0].marks if isinstance(mark, Word)]
    assert 'layer 0, head 3 · words · hidden: "<s>" (0) · storybook' in texts
    assert texts.count("animal") == 2
    assert "anim" not in texts


@pytest.mark.parametrize("more", [[], ["--hide", "first"], ["--hide", "first,cross", "--renormalize"]])
def test_long_texts_are_pooled_over_words(more: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    line = ("inspect", TEXT, "--heads", "0.3", "--words", *more)
    (whole,) = document(*line)["attention"]
    monkeypatch.setattr(window, "LARGEST", 20)
    monkeypatch.setattr("attn_cli.commands.inspect.shared_out", lambda _: 4)
    monkeypatch.setattr("attn_cli.reading.words.layer._NUMBERS", 30)
    for pool, over in (("mean", np.mean), ("max", np.max)):
        (pooled,) = document(*line, "--pool", pool)["attention"]
        rows, columns = pooled["cells"]
        assert pooled["queries"] == list(range(0, 8, rows))
        cells = [
            [
                over(matrix(whole)[row : row + rows, column : column + columns])
                for column in range(0, size, columns)
            ]
            for size in [len(whole["keys"])]
            for row in range(0, 8, rows)
        ]
        np.testing.assert_allclose(matrix(pooled), cells, atol=EXACT)


def test_a_pooled_table_names_the_first_token_of_each_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "LARGEST", 20)
    monkeypatch.setattr("attn_cli.commands.inspect.fitting", lambda *_: 3)
    out = attn("inspect", TEXT * 9, "--heads", "0.3", "--words").out
    assert "cells begin at  0 <s>" in out
    header = next(line for line in out.splitlines() if line.startswith("    "))
    (entry,) = [line for line in out.splitlines() if line.startswith("0 ")][:1]
    assert len(header.split()) == len(entry.split()) - 1


def test_the_largest_words_of_rows_of_a_long_text_are_those_of_the_matrix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = ("inspect", TEXT, "--heads", "0.3", "--words", "--top", "2", "--rows", "cross,street")
    whole = attn(*line).out
    monkeypatch.setattr(window, "LARGEST", 20)
    long = attn(*line)
    rows = [line for line in long.out.splitlines() if "→" in line]
    assert rows == [line for line in whole.splitlines() if "→" in line]
    assert rows[0].startswith("6 cross")
    assert " 2 animal" in rows[0]


def test_a_text_is_shaded_word_by_word() -> None:
    line = ("inspect", TEXT, "--heads", "0.3", "--words", "--as-text")
    answer = attn(*line, "--rows", "cross")
    assert answer.out.partition("\n\n")[2] == SHADED
    last = attn(*line, "--hide", "first")
    assert last.err == "the row of 9 . is shown; others: --rows 0, or a word of the text\n"
    assert "query 9 . · 0.12 on words that are not shaded" in last.out


SHADED = """\
weights 0.3 · query 6 cross · 3 of 8 words masked
<s>[.14] The[.02] animal[.40] didn't[.26] {cross}[.18] the street.

[.42]: the weight of the word that ends there, the 8 largest · { }: the query
"""


def test_a_default_query_of_several_tokens_is_taken_without_a_remark() -> None:
    answer = attn("inspect", "the unbelievable", "--words", "--as-text", "--heads", "0.3")
    assert answer.err.startswith("the row of 2 unbelievable is shown")
    assert "part of a word" not in answer.err


def test_metrics_of_heads_are_those_of_words_and_patterns_those_of_tokens() -> None:
    text = "the unbelievable cat, the unbelievable cat"
    line = ("heads", text, "--no-probe")
    of_tokens, of_words = (document(*line, *more) for more in ([], ["--words"]))
    assert [head["pattern"] for head in of_words["heads"]] == [head["pattern"] for head in of_tokens["heads"]]
    assert [head["patterns"] for head in of_words["heads"]] == [
        head["patterns"] for head in of_tokens["heads"]
    ]
    words = of_words["words"]
    keys = [word["tokens"] for word in words]
    names = [word["text"] for word in words]
    (entry,) = document("inspect", text, "-s", "weights", "--heads", "2.6")["attention"]
    rows = merged(matrix(entry), keys, keys)
    head = next(head for head in of_words["heads"] if (head["layer"], head["head"]) == (2, 6))
    positive = np.where(rows > 0, rows, 1)
    places = np.arange(len(keys))
    expected = {
        "entropy": -(rows * np.log(positive)).sum(axis=1).mean(),
        "largest": rows.max(axis=1).mean(),
        "distance": (rows * abs(places[:, None] - places)).sum(axis=1).mean(),
        "previous-token": rows[places[1:], places[:-1]].mean(),
        "current-token": rows[places[1:], places[1:]].mean(),
        "special": rows[1:, 0].mean(),
        "received": (rows.sum(axis=0) / len(rows)).max(),
    }
    copies = [(row, names.index(name)) for row, name in enumerate(names) if names.index(name) < row]
    expected["duplicate-token"] = np.mean([rows[row, key] for row, key in copies])
    expected["induction"] = np.mean([rows[row, key + 1] for row, key in copies])
    for metric, value in expected.items():
        np.testing.assert_allclose(head[metric], value, atol=1e-5, err_msg=metric)
    said = "metrics are those of words; patterns are those of tokens"
    assert attn(*line, "--words").err.splitlines()[-1] == said
    hidden = attn(*line, "--words", "--hide", "first").err.splitlines()[-1]
    assert hidden == (
        "metrics are those of the rows of words with hidden keys as one more key; "
        "patterns are those of whole rows of tokens"
    )


def test_heads_can_be_found_and_sorted_by_metrics_of_words() -> None:
    text = "the unbelievable cat, the unbelievable cat"
    answer = document("heads", text, "--words", "--where", "duplicate-token>0.2")
    assert answer["heads"]
    assert all(head["duplicate-token"] > 0.2 for head in answer["heads"])
    assert len(answer["heads"]) != len(document("heads", text, "--where", "duplicate-token>0.2")["heads"])


@pytest.mark.parametrize("kind", list(Distance))
@pytest.mark.parametrize("more", [[], ["--rows", "animal,6"], ["--hide", "first", "--renormalize"]])
def test_distances_are_those_of_rows_of_words(kind: Distance, more: list[str]) -> None:
    heads = ("--heads", "0.1,0.3,3.4")
    rows = [matrix(entry) for entry in document("inspect", TEXT, *heads, "--words", *more)["attention"]]
    if "--hide" in more:
        rows = [row[1:] for row in rows]  # the first row has nothing left: it does not count
    answer = document("compare", TEXT, *heads, "--words", "-d", kind.value, *more)
    expected = np.array(measure_distances(rows, kind))
    np.testing.assert_allclose(answer["matrix"], expected, atol=1e-5)
    assert [word["text"] for word in answer["words"]] == WORDS


def test_the_table_of_a_comparison_has_words() -> None:
    out = attn("compare", TEXT, "--heads", "0.1,3.4", "--words").out
    assert out.count(" animal ") >= 3


@pytest.mark.parametrize("step", ["scores", "logits", "queries", "output", "weights,scores"])
def test_words_have_no_other_steps_than_weights_and_the_mask(step: str) -> None:
    named = step.rpartition(",")[2]
    assert refused(attn("inspect", TEXT, "--words", "-s", step)) == (
        2,
        f"--words merges the weights of a word's tokens, not their {named}",
        "-s weights, or leave out --words",
    )
    assert attn("heatmap", TEXT, "--words", "-s", step, "-o", "a.png").status == 2


def test_a_word_may_look_where_one_of_its_tokens_may() -> None:
    (entry,) = document("inspect", TEXT, "--heads", "0.3", "--words", "-s", "mask")["attention"]
    np.testing.assert_array_equal(matrix(entry, "mask"), np.tril(np.ones((8, 8))))


def test_hiding_every_word_leaves_nothing_to_see() -> None:
    assert refused(attn("inspect", TEXT, "--words", "--hide", "all")) == (
        2,
        "--hide all leaves nothing to see: it hides all 8 keys",
        "--hide first, or --hide special",
    )


def test_a_text_of_special_tokens_alone_has_each_as_a_word() -> None:
    line = ("inspect", "[CLS] [SEP]", "-m", str(minilm()), "--heads", "5.3", "--words")
    words = document(*line)["words"]
    assert [word["tokens"] for word in words] == [[place] for place in range(len(words))]
    assert all(word["special"] for word in words)


def test_tokens_without_a_place_in_the_text_form_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from attn_cli.models import random_layer
    from attn_cli.models.tokens.token import Token

    lost = Token(0, 1, "the", "the", 0, 0, special=False, segment=0)
    monkeypatch.setattr(random_layer, "words", lambda _: (lost,))
    assert refused(attn("inspect", "the", "-m", "random", "--words")) == (
        1,
        "--words needs to know where tokens stand in the text: its tokenizer does not tell",
        "leave out --words",
    )


def test_a_probe_reads_no_words() -> None:
    assert refused(attn("heads", "--probe", "--words")) == (
        2,
        "--probe measures patterns on random tokens, of all keys: --words was given too",
        "leave out --probe or --words",
    )


def test_the_numbers_that_are_verified_are_those_of_tokens(twins: Path) -> None:
    answer = attn("inspect", "the cat's tired", "-m", twins / "bert", "--heads", "1.0", "--words", "--verify")
    assert answer.status == 0
    assert "largest difference" in answer.err
