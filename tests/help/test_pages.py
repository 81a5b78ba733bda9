"""The help of every command: options by topic, explanations, examples that run; at every width."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from attn_cli.help.command import Topic
from attn_cli.models.source import SourceRequest
from attn_cli.vocabulary import RANDOM, Distance, Metric, Pattern, Step, Term
from tests.support.chat_templates import CHAT_MODEL, save_chatting
from tests.support.hub_cache import hub_cache
from tests.support.twins import minilm
from tests.support.worlds import attn

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "inspect",
    "heads",
    "effects",
    "heatmap",
    "report",
    "compare",
    "tokens",
    "models",
    "verify",
    "train",
    "survey",
)
PAGES = ((), *((command,) for command in COMMANDS))
WIDTHS = (40, 60, 80, 120)
_SHORT_TRAINING = "--steps 2 --batch 1"


def help_of(*command: str, columns: int = 80) -> str:
    answer = attn(*command, "--help", COLUMNS=str(columns))
    assert (answer.status, answer.err) == (0, "")
    return answer.out


def headings(page: str) -> list[str]:
    return [line.removesuffix(":") for line in page.splitlines() if re.fullmatch(r"[A-Z].*:", line)]


def section(page: str, heading: str) -> str:
    return page.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]


def words(page: str) -> list[str]:
    """The words of a page, independent of the width; a backslash only continues a line."""
    return page.replace(" \\\n", " ").split()


@pytest.mark.parametrize("command", PAGES)
@pytest.mark.parametrize("columns", WIDTHS)
def test_no_line_is_wider_than_the_terminal(command: tuple[str, ...], columns: int) -> None:
    assert max(map(len, help_of(*command, columns=columns).splitlines())) <= columns


@pytest.mark.parametrize("command", PAGES)
@pytest.mark.parametrize("columns", WIDTHS)
def test_every_width_has_the_same_unbroken_words(command: tuple[str, ...], columns: int) -> None:
    assert words(help_of(*command, columns=columns)) == words(help_of(*command, columns=1000))


@pytest.mark.parametrize("command", PAGES)
def test_a_line_is_as_full_as_it_can_be(command: tuple[str, ...]) -> None:
    """No paragraph is broken early: the next line's first word would not have fitted."""
    prose = help_of(*command, columns=40).partition(":\n")[0].split("\n\n")[1:]
    for first, second in (pair for paragraph in prose for pair in pairwise(paragraph.splitlines())):
        assert len(first) + 1 + len(second.split()[0]) > 40


@pytest.mark.parametrize("command", PAGES)
def test_help_is_plain_ascii(command: tuple[str, ...]) -> None:
    assert help_of(*command).isascii()


@pytest.mark.parametrize("command", COMMANDS)
def test_options_are_grouped_by_topic_and_common_topics_come_first(command: str) -> None:
    order = [*Topic, "Steps", "Metrics", "Patterns", "Distances", "Examples"]
    found = [heading.partition(",")[0] for heading in headings(help_of(command))]
    assert found == sorted(found, key=order.index)
    assert found[0] in {Topic.READ, Topic.SHOW}


@pytest.mark.parametrize("command", COMMANDS)
def test_only_options_of_every_command_have_no_topic(command: str) -> None:
    others = section(help_of(command), Topic.OTHER).splitlines()
    assert [line.split("  ")[1] for line in others] == ["-q, --quiet", "-h, --help"]


@pytest.mark.parametrize(
    ("topic", "first"),
    [
        (Topic.READ, "TEXT"),
        (Topic.MODEL, "-m, --model"),
        (Topic.HEADS, "-l, --layer"),
        (Topic.SHOW, "-s, --step"),
        (Topic.OUTPUT, "-o, --out"),
        (Topic.COMPUTE, "--device"),
    ],
)
def test_the_most_common_option_of_a_topic_comes_first(topic: Topic, first: str) -> None:
    assert section(help_of("inspect"), topic).startswith(f"  {first}")


@pytest.mark.parametrize(
    ("command", "heading", "vocabulary"),
    [
        ("inspect", "Steps, in the order of the computation", Step),
        ("heatmap", "Steps, in the order of the computation", Step),
        ("heads", "Metrics, each the mean over the rows of a head that count for it", Metric),
        ("heads", "Patterns, for --where pattern=NAME (or none)", Pattern),
        ("compare", "Distances, each the mean over the rows of two heads", Distance),
    ],
)
def test_the_words_that_a_command_takes_are_explained(
    command: str, heading: str, vocabulary: type[Term]
) -> None:
    listed = re.findall(r"^  (\S+)  +(\S.*)", section(help_of(command, columns=100), heading), re.MULTILINE)
    assert [word for word, _ in listed] == list(vocabulary)
    assert all(word.explanation for word in vocabulary)


def test_a_metric_is_explained_with_its_unit() -> None:
    assert re.search(r"\n  entropy +how evenly .* \(nats\)\n", help_of("heads", columns=100))
    assert {metric.unit for metric in Metric} == {"nats", "tokens", "0 to 1", "norm", "logit"}


def test_defaults_are_shown_and_ranges_only_if_they_help() -> None:
    page = help_of("train", columns=100)
    assert "Peak learning rate. [default: 0.003, brief: 0.005]" in page
    assert "Rows per step, each of --context tokens. [default: 8]" in page
    assert not re.search(r"\dx|<=", page)


def test_the_first_page_groups_the_commands_and_says_where_to_read_on() -> None:
    page = help_of(columns=100)
    assert headings(page) == [
        *("Look at attention", "Check what goes in and what comes out", "Train", "Options", "Examples"),
    ]
    assert words(page)[-7:] == ["README.md", "shows", "how", "to", "read", "the", "tables."]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_first_page_has_the_summary_of_each_command(command: str) -> None:
    about = help_of(command, columns=100).splitlines()[2].strip()
    assert re.search(rf"\n  {command} +{re.escape(about)}\n", help_of(columns=100))


def examples() -> list[str]:
    """Every command line of every page."""
    pages = (help_of(*command, columns=1000) for command in PAGES)
    return [line.strip() for page in pages for line in page.splitlines() if line.startswith("    attn ")]


@pytest.mark.parametrize("command", PAGES)
def test_a_page_has_two_or_three_examples(command: tuple[str, ...]) -> None:
    shown = [line for line in examples() if line.startswith(" ".join(("attn", *command)))]
    assert len(shown) >= 2
    assert len(re.findall(r"\n    attn ", help_of(*command))) in {2, 3}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of the examples, shared so that one can read a model trained by another."""
    directory = tmp_path_factory.mktemp("examples")
    (directory / "story.txt").symlink_to(ROOT / "sample_inputs" / "repeated.txt")
    (directory / "book.txt").symlink_to(ROOT / "sample_inputs" / "alice.txt")
    return directory


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face cache in which all-MiniLM-L6-v2, a BERT, replaces the BERT of the examples.

    A small random Llama replaces the chat model.
    """
    models = {
        "bert-base-cased": minilm(),
        CHAT_MODEL: save_chatting(tmp_path_factory.mktemp("twin") / "llama"),
    }
    return hub_cache(tmp_path_factory.mktemp("huggingface"), models)


@pytest.mark.slow
@pytest.mark.parametrize("line", examples())
def test_an_example_runs(line: str, workplace: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    name, *arguments = shlex.split(re.sub(r"--minutes \d+", _SHORT_TRAINING, line))
    assert name == "attn"
    answer = attn(*arguments, HF_HOME=str(home))
    assert answer.status == 0, answer.err
    files = re.findall(r"-o (\S+\.\w+)", line)
    assert all((workplace / file).stat().st_size for file in files)
    assert answer.out or files


def test_the_defaults_of_a_random_layer_are_those_of_a_request() -> None:
    page, request = help_of("inspect", columns=100), SourceRequest(RANDOM)
    seed = f"or of the tokens that --temperature draws. [default: {request.seed}]"
    assert f"Seed of the random layer (`-m random`), {seed}" in " ".join(page.split())
    for name, value in (
        ("Features per token", request.width),
        ("Number of heads", request.heads),
    ):
        assert f"{name} of the random layer (only with `-m random`). [default: {value}]" in " ".join(
            page.split()
        )
