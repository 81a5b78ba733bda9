"""`--scale`, `--limits` and `--pool`: what colours and shades of weights span, and what is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.test_heatmap import words
from tests.support.worlds import attn, refused

SINK = ("the cat sat and the cat sat", "--heads", "2.5")  # all weight on <s>
SPREAD = ("the cat sat and the cat sat", "--heads", "1.2")
COMMANDS = ["inspect", "heatmap", "compare"]


def run(command: str, tmp_path: Path, *options: str) -> tuple[int, str, str]:
    files = () if command == "inspect" else ("-o", tmp_path / "a.svg")
    heads = "2.5" if command != "compare" else "2.5,2.6"
    return refused(attn(command, "the cat sat", "--heads", heads, *files, *options))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("typed", "problem", "hint"),
    [
        ("1,0", "--limits 1,0 is the wrong way round: 1 is above 0", "--limits 0,1"),
        ("0.5, 0.25", "--limits 0.5, 0.25 is the wrong way round: 0.5 is above 0.25", "--limits 0.25,0.5"),
        ("0.5,0.50", "--limits 0.5,0.50 leaves no range: both are 0.5", "--limits 0,1"),
        ("0,x", "--limits takes two numbers, LOW,HIGH: '0,x' was given", "--limits 0,1"),
        ("0", "--limits takes two numbers, LOW,HIGH: '0' was given", "--limits 0,1"),
        (",", "--limits takes two numbers, LOW,HIGH: ',' was given", "--limits 0,1"),
        ("0,0.5,1", "--limits takes two numbers, LOW,HIGH: '0,0.5,1' was given", "--limits 0,1"),
        ("0,inf", "--limits takes two numbers, LOW,HIGH: '0,inf' was given", "--limits 0,1"),
        ("nan,1", "--limits takes two numbers, LOW,HIGH: 'nan,1' was given", "--limits 0,1"),
        ("0,1_0", "--limits takes two numbers, LOW,HIGH: '0,1_0' was given", "--limits 0,1"),
        ("0,\x1b[31m", r"--limits takes two numbers, LOW,HIGH: '0,\x1b[31m' was given", "--limits 0,1"),
        ("-1e308,1e308", "--limits -1e308,1e308 leaves too large a range for numbers", "--limits 0,1"),
    ],
)
def test_limits_that_are_no_range_are_refused(
    command: str, typed: str, problem: str, hint: str, tmp_path: Path
) -> None:
    assert run(command, tmp_path, f"--limits={typed}") == (2, problem, hint)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("low", "shown"), [("0", "0"), ("-2", "-2")])
def test_a_log_scale_has_no_limits_at_or_below_zero(
    command: str, low: str, shown: str, tmp_path: Path
) -> None:
    problem = f"--scale log needs limits above 0: --limits {low},1 starts at {shown}"
    hint = "--limits 0.001,1, or --scale linear"
    assert run(command, tmp_path, "--scale", "log", f"--limits={low},1") == (2, problem, hint)


@pytest.mark.parametrize("command", ["inspect", "heatmap"])
def test_a_log_scale_is_for_weights(command: str, tmp_path: Path) -> None:
    problem = "--scale log is for weights: scores, logits may be 0 or below"
    found = run(command, tmp_path, "--scale", "log", "-s", "scores,logits")
    assert found == (2, problem, "-s weights, or --scale linear")
    both = run_of_weights_too(command, tmp_path)
    assert both == 0


def run_of_weights_too(command: str, tmp_path: Path) -> int:
    files = () if command == "inspect" else ("-o", tmp_path / "b.svg")
    return attn(command, *SINK, "--scale", "log", "-s", "scores,weights", *files).status


def test_an_unknown_scale_and_an_unknown_pool_are_refused() -> None:
    for option, known in (("--scale", "auto, linear, log"), ("--pool", "max, mean")):
        problem = f"{option} cannot be 'x': it must be one of {known}"
        assert refused(attn("inspect", *SINK, option, "x")) == (2, problem, "attn inspect --help")


def titles(*options: str) -> Iterator[str]:
    out = attn("inspect", *SINK, *options).out
    return (line.rpartition(" · 8 × 8 · ")[2] for line in out.splitlines() if "8 × 8" in line)


def test_a_table_says_what_its_shades_span() -> None:
    assert list(titles("-s", "weights")) == ["range 0 to 1"]
    assert list(titles("-s", "weights", "--scale", "log")) == ["log scale · 0.001 to 1"]
    assert list(titles("-s", "weights", "--limits", "0,0.125")) == ["range 0 to 0.125"]
    assert list(titles("-s", "weights", "--scale", "log", "--limits", "0.25,0.5")) == [
        "log scale · 0.25 to 0.5"
    ]


def test_limits_are_of_the_weights_or_else_of_what_is_shown() -> None:
    own, weights = titles("-s", "scores,weights", "--limits", "0,0.5")
    assert (own, weights) == (next(titles("-s", "scores")), "range 0 to 0.5")
    assert list(titles("-s", "scores", "--limits=-9,90")) == ["unmasked range -9 to 90"]


def drawn(tmp_path: Path, *options: str) -> tuple[set[str], str]:
    answer = attn("heatmap", *options, "-o", tmp_path / "a.svg", "--force")
    assert answer.status == 0
    return set(words(tmp_path / "a.svg")), answer.err.partition("\n")[2]


def test_a_picture_of_a_head_on_one_key_has_a_log_scale_and_says_so(tmp_path: Path) -> None:
    found, remark = drawn(tmp_path, *SINK)
    assert {"weight, log scale", "≤ 0.001", "0.01", "0.1", "1"} <= found
    because = "one key takes most of the weight"
    assert remark == f"weights are on a log scale, because {because}; otherwise: --scale linear\n"
    both = drawn(tmp_path, SINK[0], "-l", "2", "-H", "4,5,7")[1]
    assert f"because {because} in 3 of 3 heads;" in both


def test_a_picture_of_other_heads_has_a_linear_scale(tmp_path: Path) -> None:
    found, remark = drawn(tmp_path, SINK[0], "--heads", "0.2")
    assert {"weight, linear scale", "0", "1"} <= found
    assert remark == ""
    assert "weight, linear scale" in drawn(tmp_path, *SINK, "--scale", "linear")[0]


def test_limits_from_zero_are_never_logarithmic(tmp_path: Path) -> None:
    found, remark = drawn(tmp_path, *SINK, "--limits", "0,0.5")
    assert {"weight, linear scale", "≥ 0.5", "0"} <= found
    assert remark == ""
    assert "weight, log scale" in drawn(tmp_path, *SINK, "--limits", "0.01,0.5")[0]


def test_a_picture_of_scores_is_linear_beside_weights_that_are_not(tmp_path: Path) -> None:
    answer = attn("heatmap", *SINK, "-s", "scores,weights", "-o", tmp_path / "a.svg")
    assert answer.status == 0
    found = words(tmp_path / "a.svg")
    assert found.count("weight, log scale") == 1
    assert not any("linear" in word for word in found)


def test_a_compared_difference_keeps_its_own_range(tmp_path: Path) -> None:
    pair = ("compare", SINK[0], "--heads", "2.5,2.6", "--limits", "0,0.5", "--scale", "linear")
    out = attn(*pair, COLUMNS="200").out
    assert out.count("range 0 to 0.5") == 2
    assert "range -0.98 to 0.98" in out
    assert attn(*pair, "-o", tmp_path / "a.svg").status == 0
    assert words(tmp_path / "a.svg").count("weight, linear scale") == 1
