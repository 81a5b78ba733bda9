"""`--generate`: the model goes on with the text before it is read."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from attn_cli.show import data
from tests.support.language_models import NEXT, TARGETED
from tests.support.twins import minilm
from tests.support.worlds import attn, attn_in_terminal, refused

TEXT = "Once upon a time"
WRITTEN = ", and the two men were in the middle of the room."
COMMANDS = (
    ("inspect", "-s", "weights"),
    ("heads",),
    ("compare", "--heads", "0.1,2.3"),
    ("explain", "--heads", "2.5"),
    ("tokens",),
    ("effects",),
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    found: dict[str, Path] = {}

    def directory(name: str) -> Path:
        if name not in found:
            found[name] = {**NEXT, **TARGETED}[name].save(tmp_path_factory.mktemp("continued"))
        return found[name]

    return directory


def tokens_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    tokens: list[dict[str, Any]] = document["tokens"]
    return tokens


@pytest.mark.parametrize("command", COMMANDS)
def test_every_reading_command_goes_on_with_the_text(command: tuple[str, ...]) -> None:
    found = attn(command[0], TEXT, *command[1:], "--generate", "13", "--json").document
    assert Draft202012Validator(json.loads(data.schema())).is_valid(found)
    assert found["text"] == TEXT + WRITTEN
    tokens = tokens_of(found)
    assert [token.get("generated", False) for token in tokens] == [False] * 6 + [True] * 13
    for token in tokens[1:]:
        assert found["text"][token["start"] : token["end"]] == token["text"]
    drawn = {"temperature": None, "top_p": None, "seed": None}
    assert found["generation"] == {"tokens": 13, **drawn, "ended": False}


def test_rows_of_new_tokens_are_those_of_the_whole_text() -> None:
    given = ("--heads", "2.5,3.1", "-s", "weights", "--json")
    ours = attn("inspect", TEXT, "--generate", "13", *given).document
    theirs = attn("inspect", TEXT + WRITTEN, *given).document
    assert [token["id"] for token in tokens_of(ours)] == [token["id"] for token in tokens_of(theirs)]
    assert ours["attention"] == theirs["attention"]
    assert "generation" not in theirs


def test_rows_are_found_in_what_was_written() -> None:
    found = attn("inspect", TEXT, "--generate", "13", "--rows", "room", "--heads", "2.5", "--json").document
    assert found["attention"][0]["queries"] == [17]
    last = attn("inspect", TEXT, "--generate", "13", "--rows", "-1", "--heads", "2.5", "--json").document
    assert last["attention"][0]["queries"] == [18]


def test_new_tokens_are_marked_in_tables() -> None:
    answer = attn("inspect", TEXT, "--generate", "2", "-s", "weights", "--heads", "0.2")
    assert answer.out.splitlines()[:2] == [
        "storybook · gpt2 · 4 layers × 8 heads of 32 features · 8 tokens, 2 generated (+)",
        "numpy, float32, cpu",
    ] or answer.out.startswith(
        "storybook · gpt2 · 4 layers × 8 heads of 32 features\n8 tokens, 2 generated (+)"
    )
    assert "5 time  6 +,  7 +and" in answer.out
    assert "\n7 +and" in answer.out
    assert answer.err == "the model wrote 2 tokens, 6-7\n"


def test_new_tokens_are_marked_in_the_list_of_tokens() -> None:
    lines = attn("tokens", TEXT, "--generate", "1").out.splitlines()
    assert lines[0].endswith("segment  generated")
    assert lines[-1].split() == ["6", "12", ",", ",", "16", "17", "0", "yes"]
    assert not lines[-2].endswith("yes")


def test_new_tokens_are_marked_in_the_shaded_text() -> None:
    out = attn("inspect", TEXT, "--generate", "3", "--as-text", "--heads", "0.2").out
    assert "a time + , and[" in out


def test_predictions_are_of_the_whole_text() -> None:
    found = attn("tokens", TEXT, "--generate", "3", "--predict", "1", "--json").document
    likeliest = {each["position"]: each["id"] for each in found["predictions"] if each["rank"] == 1}
    ids = [token["id"] for token in tokens_of(found)]
    assert [likeliest[place] for place in (5, 6, 7)] == ids[6:]


def test_the_text_ends_with_an_end_token(saved: Callable[[str], Path]) -> None:
    twin = saved("gpt2")
    first = attn("tokens", "the cat", "--generate", "1", "-m", twin, "--json").document["tokens"][-1]["id"]
    settings = twin / "generation_config.json"
    settings.write_text(json.dumps({"eos_token_id": [first, 299]}))
    answer = attn("tokens", "the cat", "--generate", "9", "-m", twin, "--json")
    assert answer.document["generation"]["ended"]
    assert tokens_of(answer.document)[-1]["id"] == first
    assert answer.err.startswith("the model wrote 1 token of 9, ")
    assert ", and ended the text with '" in answer.err


def test_tokens_are_drawn_with_a_seed() -> None:
    def drawn(seed: int) -> str:
        options = ("--temperature", "1.5", "--top-p", "0.9", "--seed", str(seed))
        found = attn("tokens", TEXT, "--generate", "12", *options, "--json").document
        assert found["generation"] == {
            "tokens": 12,
            "temperature": 1.5,
            "top_p": 0.9,
            "seed": seed,
            "ended": found["generation"]["ended"],
        }
        text: str = found["text"]
        return text

    assert drawn(3) == drawn(3)
    assert len({drawn(3), drawn(4), TEXT + WRITTEN}) > 2


def test_an_encoder_decoder_model_writes_the_decoders_text(saved: Callable[[str], Path]) -> None:
    options = ("--generate", "6", "-m", saved("t5"))
    found = attn("inspect", "the cat sat", *options, "--kind", "cross", "-l", "0", "--json").document
    assert Draft202012Validator(json.loads(data.schema())).is_valid(found)
    tokens, target = found["tokens"], found["target_tokens"]
    assert not any(token.get("generated") for token in tokens)
    assert [token.get("generated", False) for token in target] == [False] + [True] * 6
    assert found["attention"][0]["queries"] == list(range(7))
    assert found["attention"][0]["keys"] == [token["position"] for token in tokens]
    given = "".join(token["text"] for token in target[1:] if not token["special"])
    assert found["target"].strip() == given.strip() or "\ufffd" in found["target"]


def test_an_encoder_is_not_watched(saved: Callable[[str], Path]) -> None:
    problem = "--watch shows decoder or cross attention: encoder attention reads the text"
    assert refused(attn("inspect", "the cat", "--generate", "3", "--watch", "-m", saved("t5"))) == (
        2,
        f"{problem}, and not what is written",
        "--kind cross",
    )


@pytest.mark.parametrize("kind", ["cross", "decoder"])
def test_a_decoder_is_watched(kind: str, saved: Callable[[str], Path]) -> None:
    options = ("--generate", "4", "--watch", "--kind", kind, "--heads", "1.2", "-m", saved("t5"))
    answer = attn("inspect", "the cat", *options)
    lines = answer.out.partition("\n\n")[2].splitlines()
    assert [int(line.split()[0]) for line in lines] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "status", "problem", "hint"),
    [
        (
            ("--generate", "0"),
            2,
            "--generate takes a whole number of at least 1, not '0'",
            "--generate 1",
        ),
        (
            ("--generate", "ten"),
            2,
            "--generate takes a whole number of at least 1, not 'ten'",
            "--generate 1",
        ),
        (
            ("--generate", "3", "--temperature", "0"),
            2,
            "--temperature is 0, which is not a number greater than 0",
            "--temperature 0.7, or leave it out for the likeliest token each time",
        ),
        (
            ("--generate", "3", "--temperature", "nan"),
            2,
            "--temperature is nan, which is not a number greater than 0",
            "--temperature 0.7, or leave it out for the likeliest token each time",
        ),
        (
            ("--generate", "3", "--top-p", "0"),
            2,
            "--top-p is 0, which is not greater than 0 and at most 1",
            "--top-p 0.9",
        ),
        (
            ("--generate", "3", "--top-p", "1.01"),
            2,
            "--top-p is 1.01, which is not greater than 0 and at most 1",
            "--top-p 0.9",
        ),
        (
            ("--temperature", "0.5"),
            2,
            "--temperature applies only with --generate",
            "--generate 20 --temperature 0.5",
        ),
        (("--top-p", "0.5"), 2, "--top-p applies only with --generate", "--generate 20 --top-p 0.5"),
        (
            ("--generate", "3", "--seed", "1"),
            2,
            "--seed has no effect on --generate alone: the likeliest token is taken each time",
            "--temperature 1 --seed 1, or leave out --seed",
        ),
        (
            ("--generate", "3", "--target", "cat"),
            2,
            "--generate and --target exclude each other: the model writes the decoder's text",
            "leave out --target, or --generate",
        ),
        (
            ("--generate", "3", "--pair", "cat"),
            2,
            "--generate and --pair exclude each other: a pair does not go on",
            "leave out --pair, or --generate",
        ),
        (
            ("--generate", "3", "-m", "random"),
            1,
            "random does not go on with a text: it is an attention layer without a language head",
            "a decoder such as GPT-2, or leave out --generate",
        ),
        (
            ("--generate", "3", "-m", minilm()),
            1,
            "model does not go on with a text: its tokens see those after them",
            "a decoder such as GPT-2, or leave out --generate",
        ),
        (
            ("--generate", "3", "--no-causal"),
            1,
            "storybook does not go on with a text: its tokens see those after them",
            "a decoder such as GPT-2, or leave out --generate",
        ),
        (
            ("--generate", "600"),
            1,
            "the continuation is too long: 6 tokens and 600 more, but storybook was made for 512",
            "--generate 506",
        ),
        (("--watch",), 2, "--watch applies only with --generate", "--generate 20 --watch"),
        (
            ("--generate", "3", "--watch", "--json"),
            2,
            "--watch and --json exclude each other: --watch prints the tokens as they are written",
            "leave out --json, or --watch",
        ),
        (
            ("--generate", "3", "--watch", "-l", "2"),
            2,
            "--watch follows one head: 8 were chosen",
            "--heads 2.0",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: tuple[str | Path, ...], status: int, problem: str, hint: str
) -> None:
    assert refused(attn("inspect", TEXT, *arguments)) == (status, problem, hint)


def test_a_seed_of_no_drawn_token_is_refused() -> None:
    problem = "--seed applies only to tokens that are drawn, with --generate and --temperature"
    assert refused(attn("tokens", TEXT, "--seed", "3")) == (
        2,
        problem,
        "--generate 20 --temperature 0.8 --seed 3",
    )


def test_a_continuation_beyond_the_positions_is_refused_where_these_are_computed(
    saved: Callable[[str], Path],
) -> None:
    status, problem, hint = refused(attn("tokens", "the cat", "-m", saved("llama"), "--generate", "9000"))
    told = re.fullmatch(
        r"the continuation is too long: (\d+) tokens and 9,000 more, but \S+ was made for (\d+)", problem
    )
    assert told is not None, problem
    assert (status, hint) == (1, f"--generate {int(told[2]) - int(told[1])}")


def test_the_last_position_can_be_reached() -> None:
    found = attn("tokens", TEXT, "--generate", "506", "--json").document
    assert len(tokens_of(found)) == 512


def test_watch_prints_a_line_for_each_token() -> None:
    answer = attn("inspect", TEXT, "--generate", "3", "--watch", "--heads", "0.2")
    head, _, lines = answer.out.partition("\n\n")
    assert head.endswith("as each token is written: where head 0.2 looks from the token before it")
    assert lines.splitlines() == [
        "    6 ,            4 a 1.00, 0 <s> 0.00, 1 O 0.00",
        "    7 and          5 time 0.99, 1 O 0.01, 2 nce 0.00",
        "    8 the          6 +, 1.00, 1 O 0.00, 3 upon 0.00",
    ]
    assert answer.err == "the model wrote 3 tokens, 6-8\n"


def test_what_is_watched_are_the_rows_of_the_whole_text() -> None:
    options = ("--generate", "4", "--heads", "2.1")
    lines = attn("inspect", TEXT, *options, "--watch", "--top", "99", "--digits", "6").out.splitlines()[-4:]
    whole = attn("inspect", TEXT, *options, "-s", "weights", "--json").document["attention"][0]
    for place, line in enumerate(lines, 5):
        found = {int(key): float(weight) for key, weight in re.findall(r"(\d+) \S+ (\d\.\d{6})", line)}
        assert len(found) == place + 1
        for key, weight in found.items():
            np.testing.assert_allclose(weight, whole["steps"]["weights"][place][key], atol=1e-5)


def test_watch_controls_no_terminal() -> None:
    for answer in (
        attn("inspect", "a\x1b[31m[/bold]", "--generate", "2", "--watch"),
        attn_in_terminal("inspect", TEXT, "--generate", "2", "--watch", NO_COLOR="1"),
    ):
        assert all(letter.isprintable() for line in answer.out.splitlines() for letter in line)


@pytest.mark.slow
def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    """The lines that were printed stay, and the exit status is 130."""
    command = [sys.executable, "-m", "attn_cli", "inspect", TEXT, "--generate", "500", "--watch"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=os.environ
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(8):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert err.endswith("attn: interrupted\n")
    assert "Traceback" not in err
    assert all(line.split()[0].isdigit() for line in rest.splitlines())
