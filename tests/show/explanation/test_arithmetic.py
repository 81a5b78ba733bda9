"""Every number of a page follows from the numbers above it: read from the text, computed again with decimals.

The cells are random: of every native family and feature, in every number format, with few digits and many,
with the matrices and without. `--explain-cells 1000` reads as many.
"""

import copy
import random
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.printed import PageError, agree, agree_with_steps, read_page
from tests.support.twins import RECIPES, TEXTS, Recipe
from tests.support.worlds import attn


def _small(recipe: Recipe) -> Recipe:
    """The same with 16 numbers for each token, which `--weights` prints whole."""
    config = copy.deepcopy(recipe.config)
    for name in ("hidden_size", "n_embd", "d_model", "dim"):
        if name in config.to_dict():
            setattr(config, name, 16)
            break
    return replace(recipe, config=config)


NATIVE = {**RECIPES, **FAMILIES, **TRANSLATORS}
SMALL = {
    f"{name}, small": _small(NATIVE[name])
    for name in (
        *("bert", "gpt2", "llama", "qwen3", "gemma2", "phi, normed heads", "olmo2", "mpnet"),
        *("deberta-v2", "bloom", "qwen2", "gpt_neox", "t5", "bart"),
    )
}
ALL = {**NATIVE, **SMALL}
FEW_TOKENS = "the cat sat on"
TARGET = "the cat was tired and sat"
FORMATS = ("float32", "float32", "float32", "float64", "float16", "bfloat16")


@dataclass(frozen=True)
class Cell:
    """A command for one weight."""

    head: Sequence[str | Path]  # the text, the model and the head
    options: Sequence[str]
    dtype: str = "float32"

    @property
    def arguments(self) -> list[str | Path]:
        """What follows `attn explain`."""
        return [*self.head, *self.options]

    def check(self) -> int:
        """Read its page, and compare it with the JSON object; the number of results computed again."""
        printed = attn("explain", *self.arguments)
        assert not printed.status, printed.err
        page = read_page(printed.out, self.dtype)
        explained = attn("explain", *self.arguments, "--json").document["explain"]
        agree(page, explained)
        steps = attn("inspect", *self.head, "-s", "input,values", "--json").document["attention"][0]["steps"]
        agree_with_steps(page, steps, has_memory=explained["kind"] == "cross")
        return page.checked


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of a twin, which is saved when it is first needed."""
    directory = tmp_path_factory.mktemp("explained")

    def save(name: str) -> Path:
        place = directory / name.replace(" ", "-").replace(",", "")
        if not place.exists():
            place.mkdir()
            ALL[name].save(place)
        return place

    return save


def _cell(name: str, model: Path, draw: random.Random) -> Cell:
    """A random weight of a twin."""
    layers, heads, kind = _shape(name, draw)
    dtype = draw.choice(FORMATS)
    text = FEW_TOKENS if name in SMALL and draw.random() < 0.8 else draw.choice(TEXTS)
    arguments: list[str | Path] = [text, "-m", model, *kind, "--dtype", dtype]
    arguments += ["-l", str(draw.randrange(layers)), "-H", str(draw.randrange(heads))]
    return Cell(arguments, [*_drawn_options(draw, 0.9 if name in SMALL else 0.4)], dtype)


def _shape(name: str, draw: random.Random) -> tuple[int, int, list[str]]:
    """The number of layers and heads, and the options for the kind."""
    config = ALL[name].config
    if name.removesuffix(", small") not in TRANSLATORS:
        return config.num_hidden_layers, config.num_attention_heads, []
    kind = draw.choice(["encoder", "decoder", "cross"])
    heads = config.num_attention_heads
    if kind == "encoder":
        return 3, heads, ["--kind", kind]
    return 2, getattr(config, "decoder_attention_heads", heads), ["--kind", kind, "--target", TARGET]


def _drawn_options(draw: random.Random, with_matrices: float) -> Iterator[str]:
    yield from ("--query", str(draw.randrange(-4, 0)))
    if draw.random() < 0.6:
        yield from ("--key", str(draw.randrange(-4, 4)))
    yield from ("--digits", str(draw.randrange(1, 10)), "--top", str(draw.randrange(1, 31)))
    if draw.random() < with_matrices:
        yield "--weights"


@pytest.mark.parametrize("name", ALL)
def test_every_printed_number_follows_from_those_above_it(
    name: str, saved: Callable[[str], Path], pytestconfig: pytest.Config
) -> None:
    draw = random.Random(name)  # noqa: S311 (a choice of cells)
    count = max(2, round(int(pytestconfig.getoption("--explain-cells")) / len(ALL)))
    for _ in range(count):
        cell = _cell(name, saved(name), draw)
        try:
            cell.check()
        except PageError as wrong:
            pytest.fail(f"{wrong}\nattn explain {shlex.join(map(str, cell.arguments))}")


RANDOM: Mapping[str, Sequence[str]] = {
    "a blackboard": ["--width", "8", "--head-count", "2"],
    "as wide as is shown whole": ["--width", "16", "--head-count", "1"],
    "just too wide": ["--width", "17", "--head-count", "1"],
    "more heads than are listed": ["--width", "64", "--head-count", "32", "--causal"],
}
WITH_MATRICES = {"a blackboard", "as wide as is shown whole", "just too wide"}


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("digits", ["1", "4", "9"])
def test_the_arithmetic_of_a_random_layer_closes(name: str, digits: str) -> None:
    head = [TEXTS[1], "-m", "random", *RANDOM[name], "-l", "0", "-H", "0"]
    more = ["--weights"] if name in WITH_MATRICES else []
    assert Cell(head, ["--query", "-1", "--digits", digits, *more]).check() > 40


def test_the_arithmetic_of_a_long_row_closes() -> None:
    head = ["the cat sat on the mat and " * 60, "-l", "1", "-H", "2"]
    assert Cell(head, ["--query", "400", "--key", "3"]).check() > 40


# The reader notices a page that is wrong.


def _page(model: Path, *more: str, text: str = TEXTS[1]) -> tuple[str, dict[str, Any]]:
    """A page of a twin as text, and its JSON object."""
    where: list[str | Path] = ["-m", model, "-l", "1", "-H", "1", "--query", "-2", *more]
    explained: dict[str, Any] = attn("explain", text, *where, "--json").document["explain"]
    return attn("explain", text, *where).out, explained


def _is_noticed(page: str, explained: Mapping[str, Any]) -> bool:
    try:
        agree(read_page(page), explained)
    except (PageError, ArithmeticError, LookupError, ValueError):
        return True
    return False


UNCHECKED = r"^Head|^head \d|^bias of W\^O|^layer's output|^What this head writes has length"
"""Lines with lengths of what is not printed (other heads, the bias, the stream), and with names."""


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "qwen3", "phi3, a part turns", "mpnet", "deberta-v2"])
@pytest.mark.parametrize("more", [(), ("--weights",)], ids=["", "--weights"])
def test_a_number_that_is_changed_is_noticed(
    name: str, more: Sequence[str], saved: Callable[[str], Path]
) -> None:
    assert _unnoticed(*_page(saved(name), *more)) == []


def _unnoticed(page: str, explained: Mapping[str, Any], step: int = 1) -> list[str]:
    """The lines with a number that may be changed unnoticed; every number is tried, or one of `step`."""
    assert not _is_noticed(page, explained)
    return [
        page[page.rfind("\n", 0, number.start()) + 1 : page.find("\n", number.end())]
        for number in islice(re.finditer(r"\d+\.\d+", page), 0, None, step)
        if not re.match(UNCHECKED, page[page.rfind("\n", 0, number.start()) + 1 :])
        and not _is_noticed(_changed(page, number), explained)
    ]


@pytest.mark.parametrize(
    ("name", "key"),
    [("gpt2", "-1"), ("llama", "-1"), *((name, "1") for name in ("bert", "qwen3", "gemma2", "t5", "bart"))],
)
def test_a_number_of_a_small_layer_that_is_changed_is_noticed(
    name: str, key: str, saved: Callable[[str], Path]
) -> None:
    kind = {"t5": ["--kind", "decoder", "--target", TARGET], "bart": ["--kind", "cross", "--target", TARGET]}
    options = ["--key", key, "--weights", *kind.get(name, [])]
    page, explained = _page(saved(f"{name}, small"), *options, text=FEW_TOKENS)
    assert "x of every token:" in page
    # 300 to 600 numbers, and the whole page is read for each; 5 has no factor in common with a row's 8 or 4
    assert _unnoticed(page, explained, 5) == []


def _changed(page: str, number: re.Match[str]) -> str:
    """The page with a number that is larger by 1, as wide as before."""
    digits = len(number[0].partition(".")[2])
    larger = f"{float(number[0]) + 1:.{digits}f}"
    return page[: number.start()] + larger[-len(number[0]) :] + page[number.end() :]


def test_a_term_that_is_missing_is_noticed(twins: Path) -> None:
    page, explained = _page(twins / "gpt2")
    lines = page.split("\n")
    for missing in (
        line for line in lines if re.match(r"b |the other |bias of W|rounding|head \d|\d+ ", line)
    ):
        shorter = "\n".join(line for line in lines if line != missing)
        assert _is_noticed(shorter, explained), missing


@pytest.mark.parametrize("name", ["gpt2", "qwen3"])
def test_a_row_of_a_small_layer_that_is_missing_is_noticed(name: str, saved: Callable[[str], Path]) -> None:
    page, explained = _page(saved(f"{name}, small"), "--weights", text=FEW_TOKENS)
    lines = page.split("\n")
    numbered = [number for number, line in enumerate(lines) if re.match(r"(\d+|[a-z]\[\d+\]) ", line)]
    assert len(numbered) > 80
    for number in numbered:
        if not re.match(r"[1-5]\. ", lines[number]):
            assert _is_noticed("\n".join(lines[:number] + lines[number + 1 :]), explained), lines[number]


RESULTS = r"= (\d+\.\d+)$|= -(\d+\.\d+)$|^(?:q·k|[qkvao]\[\d+\]|total|layer's output) .*?(\d+\.\d+)$"


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "qwen3", "phi3, a part turns", "mpnet", "deberta-v2"])
def test_a_result_that_is_off_by_two_units_is_noticed(name: str, saved: Callable[[str], Path]) -> None:
    page, explained = _page(saved(name))
    results = [*re.finditer(RESULTS, page, re.MULTILINE)]
    assert len(results) > 8
    for result in results:
        start, end = result.span(result.lastindex or 0)
        digits = page[start:end]
        places = len(digits.partition(".")[2])
        other = f"{float(digits) + 2 * 10.0**-places:.{places}f}"[-len(digits) :]
        assert _is_noticed(page[:start] + other + page[end:], explained), result[0]
