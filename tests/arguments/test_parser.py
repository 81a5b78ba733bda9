"""Mistyped command lines and their errors: two lines, word for word, and status 2."""

import os
import shlex
from pathlib import Path

import pytest

from attn_cli.spelling import edits, nearest
from tests.support.worlds import attn, refused

STEPS = (
    "input, queries, keys, values, scores, bias, mask, logits, weights, context, output, "
    "norms, norm-shares, value-zeroing"
)


def told(line: str) -> tuple[str, str]:
    """The problem and the hint of a usage error."""
    status, problem, hint = refused(attn(*shlex.split(line)))
    assert status == 2
    return problem, hint


@pytest.mark.parametrize(
    ("line", "problem", "hint"),
    [
        ("-m a --model b", "--model is given twice: 'a' and 'b'", "leave one of them out"),
        ("-m a -m a", "--model is given twice: 'a' and 'a'", "leave one of them out"),
        ("--file a --file=b", "--file is given twice: 'a' and 'b'", "leave one of them out"),
        ("--top 1 --top 2 --top 3", "--top is given 3 times: '1', '2' and '3'", "leave one of them out"),
        ("-l2 --layer 3", "--layer is given twice: '2' and '3'", "--layer 2,3"),
        ("--rows 1 --rows 4-7", "--rows is given twice: '1' and '4-7'", "--rows 1,4-7"),
        ("--rows 'a b' --rows 4", "--rows is given twice: 'a b' and '4'", '--rows "a b,4"'),
        (
            "--causal --no-causal",
            "--causal and --no-causal contradict each other: both were given",
            "leave one of them out",
        ),
    ],
)
def test_an_option_of_one_value_is_given_once(line: str, problem: str, hint: str) -> None:
    assert told(f"inspect x {line}") == (problem, hint)


@pytest.mark.parametrize(
    "line",
    [
        "heatmap x -o a.png --dpi 10 --dpi 20",
        "heads x --sort entropy --sort score",
        "compare x -d cosine -d cosine",
        "tokens x --revision a --revision b",
        "verify x --device cpu --device cpu",
        "train x --steps 1 --steps 2",
    ],
)
def test_every_command_refuses_a_repeated_option(line: str) -> None:
    assert " is given twice: " in told(line)[0]


def test_a_flag_may_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    once = attn("tokens", "the cat", "--json")
    assert attn("tokens", "the cat", "--json", "--json", "-q", "-q") == once
    monkeypatch.setenv("ATTN_MODEL", "random")  # nor is a default of the environment a repetition
    assert attn("tokens", "the cat", "--json", "-m", "storybook") == once


def test_steps_can_be_a_list_and_repeated() -> None:
    listed = attn("inspect", "the cat", "--json", "-s", "scores, weights", "-s", "mask").document
    assert list(listed["attention"][0]["steps"]) == ["scores", "mask", "weights"]


@pytest.mark.parametrize(
    ("value", "found", "hint"),
    [
        ("score", "score", "--step scores"),
        ("scores,wieghts", "wieghts", "--step weights"),
        ("Weights", "Weights", "--step weights"),
        ("softmax", "softmax", "--step weights"),
        ("q,k", "q", "--step queries"),
        ("pictures", "pictures", "attn inspect --help"),
        ("scores,", "", "attn inspect --help"),
    ],
)
def test_an_unknown_step_gets_a_suggestion_and_a_list(value: str, found: str, hint: str) -> None:
    assert told(f"inspect x -s {value}") == (f"--step cannot be '{found}': it must be one of {STEPS}", hint)


@pytest.mark.parametrize(
    ("line", "problem", "hint"),
    [
        (
            '"hello world" -m random',
            "no command was given for the text 'hello world'",
            'attn inspect "hello world" -m random',
        ),
        ("inspct 'the cat'", "no such command 'inspct'", 'attn inspect "the cat"'),
        ("Inspect", "no such command 'Inspect'", "attn inspect"),
        ("version", "no such command 'version'", "attn --version"),
        ("help inspct", "no such command 'inspct'", "attn inspect --help"),
        ("story", "no such command 'story'", "attn inspect story for a text, or attn --help"),
        (
            "x" * 100,
            f"no such command '{'x' * 39}…'",
            f"attn inspect {'x' * 59}… for a text, or attn --help",
        ),
        (
            "-m random inspect x",
            "-m comes before the command: options go after it",
            "attn inspect -m random x",
        ),
        ("-l 2 x", "-l comes before the command: options go after it", "attn inspect -l 2 x"),
        ("-t x", "no such option: -t", 'attn inspect "The cat sat": the text needs no option'),
        ("\u2013-help", "'\u2013-help' begins with a typographic dash (U+2013), not with -", "--help"),
    ],
)
def test_an_unknown_command_gets_a_suggestion(line: str, problem: str, hint: str) -> None:
    assert told(line) == (problem, hint)


def test_a_file_without_a_command_suggests_inspect_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("the cat")
    problem = "no command was given for the file 'a.txt'"
    assert told("a.txt -l 2") == (problem, "attn inspect --file a.txt -l 2")
    Path("b.txt").write_text("the dog")
    assert told("inspect a.txt b.txt") == (
        "attn inspect reads one text: 2 were given",
        "attn inspect --file a.txt, one file at a time",
    )


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("'-5 degrees'", "-5 degrees"),
        ("inspect -5", "-5"),
        ("inspect '- hello'", "- hello"),
        ("inspect '-l of the cat'", "-l of the cat"),
        ("inspect '--hello world'", "--hello world"),
    ],
)
def test_a_text_that_begins_with_a_dash_comes_after_two(line: str, text: str) -> None:
    problem = f"a text that begins with a dash looks like an option: '{text}'"
    assert told(line) == (problem, f'attn inspect -- "{text}"')
    assert attn("tokens", "--json", "--", text).document["text"] == text


def test_a_long_text_is_truncated_in_a_hint() -> None:
    problem, hint = told(f"'{'the cat ' * 8}'")
    assert problem == f"no command was given for the text '{'the cat ' * 4}the cat…'"
    assert hint == f'attn inspect "{"the cat " * 7}the…"'


@pytest.mark.parametrize(
    ("line", "problem", "hint"),
    [
        ("inspect x --lair 2", "no such option: --lair", "--layer LAYERS"),
        ("inspect x --Layer 2", "no such option: --Layer", "--layer LAYERS"),
        ("inspect x --col 2", "no such option: --col", "--columns TOKENS"),
        ("inspect x --haeds 1.2", "no such option: --haeds", "--heads L.H,L.H"),
        ("inspect x --output a.json", "no such option: --output", "--out FILE"),
        ("inspect -f a.txt", "no such option: -f", "--file PATH"),
        ("inspect x -L 2", "no such option: -L", "-l LAYERS"),
        ("inspect x -V", "no such option: -V", "attn --version"),
        ("inspect x --version", "no such option: --version", "attn --version"),
        ("-V", "no such option: -V", "--version"),
        ("inspect x -l=2", "a short option takes no =: -l=2", "-l 2"),
        ("inspect x layer=2", "an option begins with dashes: layer=2 has none", "--layer=2"),
        ("inspect x -- -l 2", "everything after -- is text, including -l", "options before --"),
        ("inspect x --dtype bf16", None, "--dtype bfloat16"),
        ("inspect x -qx", "no such option: -x", "attn inspect --help"),
        (
            "inspect --text x",
            "no such option: --text",
            'attn inspect "The cat sat": the text needs no option',
        ),
        ("inspect x --steps 2", "attn inspect has no option --steps: attn train has it", "--step STEP"),
        ("inspect x -model random", "a long option begins with two dashes: -model has one", "--model"),
        ("inspect x -layer=2", "a long option begins with two dashes: -layer has one", "--layer=2"),
        ("inspect x \u2013l 2", "'\u2013l' begins with a typographic dash (U+2013), not with -", "-l"),
        (
            "inspect \u2014layer=2",
            "'\u2014layer=2' begins with a typographic dash (U+2014), not with -",
            "--layer=2",
        ),
        ("inspect x --layer --json", "--layer has no value: --json follows", "--layer LAYERS"),
        ("inspect x -ql", "--layer has no value: nothing follows", "--layer LAYERS"),
        ("inspect -l -- x", "--layer has no value: -- follows", "--layer LAYERS"),
        ("inspect x -m ''", "the value of --model is empty", "--model MODEL, or leave it out"),
        ("inspect x --hide ''", "the value of --hide is empty", "--hide TOKENS, or leave it out"),
        ("inspect x --file=", "the value of --file is empty", "--file PATH, or leave it out"),
        ("inspect x --json=yes", "--json takes no value: 'yes' was given", "--json"),
        ("inspect x --top 3.0", "--top takes a whole number of at least 1, not '3.0'", "--top 3"),
        ("inspect x --top 1e2", "--top takes a whole number of at least 1, not '1e2'", "--top 100"),
        ("inspect x --top inf", "--top takes a whole number of at least 1, not 'inf'", "--top 1"),
        ("inspect x --dtype", None, "--dtype float32|float16|bfloat16|float64"),
        (
            "inspect x --width 3in",
            "--width takes a whole number from 1 to 65536, not '3in'",
            "--width 64, or for a picture attn heatmap with --width 3in",
        ),
        (
            "inspect x --width wide",
            "--width takes a whole number from 1 to 65536, not 'wide'",
            "--width 64",
        ),
        (
            "inspect x --head-count x",
            "--head-count takes a whole number from 1 to 1024, not 'x'",
            "--head-count 4",
        ),
        ("inspect x --seed x", "--seed takes a whole number of at least 0, not 'x'", "--seed 0"),
        ("heatmap x --dpi 9", "--dpi takes a whole number from 10 to 2400, not '9'", "--dpi 10"),
        ("heatmap x --dpi x", "--dpi takes a whole number from 10 to 2400, not 'x'", "--dpi 150"),
        ("train x --rate 7", "--rate takes a number from 1e-08 to 1.0, not '7'", "--rate 1.0"),
        ("heads x --metric entropi", None, "--metric entropy"),
    ],
)
def test_a_mistyped_option_gets_a_suggestion(line: str, problem: str | None, hint: str) -> None:
    found = told(line)
    assert found == (problem or found[0], hint)


@pytest.mark.parametrize(
    ("line", "problem", "hint"),
    [
        (
            "inspect the cat sat -m random",
            "attn inspect reads one text: 3 were given",
            'attn inspect "the cat sat": quotes around the text',
        ),
        (
            "inspect “the cat sat”",
            "attn inspect reads one text: 3 were given: curly quotes do not group words",
            'attn inspect "the cat sat"',
        ),
        ("inspect x -l 1 2", "-l takes one value, but 1 is followed by 2", "-l 1,2"),
        ("inspect -l 1 2 'the cat'", "-l takes one value, but 1 is followed by 2", "-l 1,2"),
        ("inspect x -H 1 , 2", "-H takes one value, but 1 is followed by , 2", "-H 1,2"),
        (
            "inspect x --heads=1.2 3.4",
            "--heads takes one value, but 1.2 is followed by 3.4",
            "--heads 1.2,3.4",
        ),
        (
            "inspect 'a b' 'c d'",
            "attn inspect reads one text: 2 were given",
            "put both in one text, or --pair TEXT for a model that takes two",
        ),
        (
            "heatmap 'a b' a.png",
            "attn heatmap reads one text: 2 were given",
            "-o a.png for a file to write",
        ),
    ],
)
def test_quotes_are_suggested_only_if_they_are_missing(line: str, problem: str, hint: str) -> None:
    assert told(line) == (problem, hint)


@pytest.mark.parametrize(
    "line",
    [
        "inspect 'a cat sat' --rows a cat -q",
        "inspect --rows=a cat 'a cat sat'",
    ],
)
def test_a_phrase_of_the_text_is_quoted(line: str) -> None:
    problem, hint = told(line)
    assert problem == "--rows takes one value, but a is followed by cat"
    assert hint == '--rows "a cat"'


def test_a_file_after_a_word_of_the_text_is_not_part_of_a_phrase() -> None:
    assert told("heatmap 'a cat' --rows cat a.png")[1] == "-o a.png for a file to write"


@pytest.mark.parametrize("line", ["-l -1", "-l2", "--layer=-1", "--rows -1"])
def test_a_value_may_be_a_negative_number(line: str) -> None:
    assert attn("inspect", "the cat", *line.split()).status == 0


def test_a_value_that_is_an_option_is_taken_after_an_equals_sign() -> None:
    _, problem, _ = refused(attn("inspect", "x", "--model=--json"))
    assert problem.startswith("model '--json' not found")


@pytest.mark.parametrize(("line", "same"), [("help", "--help"), ("help inspect", "inspect --help")])
def test_help_is_a_command_too(line: str, same: str) -> None:
    assert attn(*line.split()) == attn(*same.split())
    assert attn(*line.split()).status == 0


def test_help_takes_precedence_over_extra_words() -> None:
    assert attn("inspect", "--help", "extra", "words") == attn("inspect", "--help")


def test_help_is_a_text_after_a_command() -> None:
    assert attn("tokens", "help", "--json").document["text"] == "help"


def test_shell_completion_of_an_unfinished_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    from attn_cli.cli import app

    words = "attn inspect x y -l 1 -l 2 --mo"
    for name, value in (("COMP_WORDS", words), ("COMP_CWORD", "8"), ("_ATTN_COMPLETE", "complete_bash")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "environ", {**os.environ})
    with pytest.raises(SystemExit):
        typer.main.get_command(app).main(prog_name="attn")
    assert capsys.readouterr().out.split() == ["--model"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("lair", "layer"),  # and not pair, whose first letter would have to be wrong
        ("sed", "seed"),
        ("colu", "columns"),
        ("col", "columns"),
        ("co", None),  # a beginning has three letters
        ("head-cout", "head-count"),  # and not head, which goes on otherwise
        ("heads", "head"),
        ("lxxer", "layer"),  # two letters of five
        ("lxxxr", None),
        ("xayer", "layer"),  # the first letter counts twice
        ("xayxr", None),
        ("x", None),
        ("", None),
        ("zzz", None),
        ("s" * 5000, None),
    ],
)
def test_the_nearest_word_has_the_fewest_wrong_letters(word: str, meant: str | None) -> None:
    assert nearest(word, ["pair", "layer", "seed", "columns", "head", "head-count"]) == meant


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [("", "", 0), ("cat", "cat", 0), ("cat", "act", 1), ("cat", "cats", 1), ("kitten", "sitting", 3)],
)
def test_an_edit_is_an_insertion_deletion_substitution_or_swap(one: str, other: str, count: int) -> None:
    assert edits(one, other) == edits(other, one) == count
