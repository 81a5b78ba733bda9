"""Random command lines: any command, options and values; whatever they are, the answer keeps its form.

The commands and their options are those that `attn` defines, so a new one is tried without a change here.
150 command lines are tried, the same each time; more, and others, with
`ATTN_FUZZ=20000 ATTN_FUZZ_SEED=7 pytest tests/fuzz/test_command_lines.py`.
"""

import os
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from attn_cli.cli import app
from tests.support.worlds import Answer, attn

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("ATTN_FUZZ", "150"))
SEED = int(os.environ.get("ATTN_FUZZ_SEED", "23"))

TEXTS = (
    "the cat sat",
    "x",
    "",
    " ",
    "the cat sat and the cat sat",
    "日本 🙂 \u0301",
    "\x1b[2J\x07",
    "=1+1",
    "a\x01b",
    "-",
    "--",
)
NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "-1",
    "7",
    "32",
    "1e3",
    "0.5",
    "-0.0",
    "nan",
    "inf",
    "9" * 20,
    "9" * 5000,
    "٣",
    "²",
    "0x1",
    "1_0",
)
WORDS = (
    *(
        "",
        " ",
        "-",
        "--",
        "all",
        "first",
        "special",
        "0,1",
        "0-2",
        "2-",
        "0.1",
        "0.1,3.4",
        "the@2",
        "=7",
        "self",
        "cross",
    ),
    *(
        "auto",
        "entropy",
        "entropy>0.5",
        "cosine",
        "random",
        "storybook",
        "nowhere",
        "./nowhere",
        "..",
        "org/none",
        "red",
    ),
    *(
        "\x1b[31m",
        "\udcff",
        "a" * 400,
        "🙂" * 30,
        "[/bold]",
        "<script>",
        "{}",
        "%s%n",
        "$(touch trap)",
        "`x`",
        "'",
        '"',
        "\\",
    ),
)
FILES = (
    *(
        "out.json",
        "out.csv",
        "out.npz",
        "out.png",
        "out.svg",
        "out.html",
        "out.md",
        "out.graphml",
        "OUT.JSON",
        "out",
        "out.bmp",
    ),
    *(
        "text.txt",
        "empty.txt",
        "latin.txt",
        "here",
        "loop.json",
        "link.json",
        "kept.json",
        "no/out.json",
        "/dev/null",
        "/dev/full",
    ),
    *(
        "/proc/self/mem",
        "./out.json",
        "a" * 300 + ".json",
        "\x1b[1m.json",
        "\udcff.json",
        "-",
        "",
        "~/nowhere",
        "~nobody/x",
    ),
)
ENVIRONMENTS: tuple[dict[str, str], ...] = (
    *(
        {},
        {},
        {},
        {"COLUMNS": "1"},
        {"COLUMNS": "9" * 21},
        {"COLUMNS": "-1", "LINES": "x"},
        {"NO_COLOR": "1"},
    ),
    *(
        {"ATTN_MODEL": "nowhere"},
        {"ATTN_DEVICE": "cuda:7"},
        {"ATTN_DEVICE": "\x1b"},
        {"COLORFGBG": "0;15"},
        {"TERM": "dumb"},
    ),
)
BRIEF = {
    "train": [
        "--steps",
        "1",
        "--width",
        "16",
        "--layers",
        "1",
        "--head-count",
        "2",
        "--context",
        "8",
        "--batch",
        "2",
    ]
}
"""What keeps a command brief, where its options are not drawn."""

KEPT = b'{"kept": true}'


@cache
def commands() -> dict[str, list[Any]]:
    """The options and arguments of each command, as `attn` defines them."""
    group: Any = typer.main.get_command(app)
    return {name: group.get_command(None, name).params for name in group.list_commands(None)}


def fitting(parameter: Any) -> st.SearchStrategy[str]:
    """A value that the parameter may take."""
    choices = getattr(parameter.type, "choices", None)
    if choices:
        return st.sampled_from([str(getattr(choice, "value", choice)) for choice in choices])
    kind = type(parameter.type).__name__.lower()
    if "path" in kind or "file" in kind:
        return st.sampled_from(FILES)
    if "int" in kind or "float" in kind:
        return st.sampled_from(NUMBERS)
    return st.sampled_from((*WORDS, *NUMBERS, *TEXTS))


# no argument has a NUL: the system takes it for the end
ANY = st.one_of(
    st.sampled_from((*WORDS, *NUMBERS, *FILES, *TEXTS)),
    st.text(st.characters(exclude_characters="\0"), max_size=8),
)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command with some of its options, each with a value that fits it, or any."""
    name = draw(st.sampled_from(sorted(commands())))
    options = [one for one in commands()[name] if one.param_type_name == "option"]
    chosen = draw(st.lists(st.sampled_from(options), max_size=4, unique_by=lambda one: one.name))
    words: list[str] = []
    for option in chosen:
        words.append(draw(st.sampled_from([*option.opts, *option.secondary_opts])))
        if not option.is_flag:
            value = draw(ANY if draw(st.integers(0, 3)) == 0 else fitting(option))
            words.append(value)
    if len(chosen) < len(options):
        words += _brief(name, {word for option in chosen for word in option.opts})
    texts = draw(
        st.lists(st.one_of(st.sampled_from(TEXTS), ANY), max_size=2 if draw(st.integers(0, 9)) == 0 else 1)
    )
    if draw(st.integers(0, 3)) == 0:
        return [name, *draw(st.permutations([*words, *texts]))]
    return [name, *texts, *words]


def _brief(name: str, taken: set[str]) -> list[str]:
    words = BRIEF.get(name, [])
    pairs = zip(words[::2], words[1::2], strict=True)
    return [word for pair in pairs if pair[0] not in taken for word in pair]


@pytest.fixture
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


def fill(directory: Path) -> set[str]:
    """The files that command lines may name; returns all names there."""
    for file in directory.iterdir():
        if file.name.startswith(("out", "OUT", "kept", "link", "target")) and file.is_file():
            file.unlink()
    (directory / "text.txt").write_text("The cat sat on the mat. " * 20)
    (directory / "empty.txt").touch()
    (directory / "latin.txt").write_bytes(b"caf\xe9")
    (directory / "here").mkdir(exist_ok=True)
    (directory / "kept.json").write_bytes(KEPT)
    for link, target in (("loop.json", "loop.json"), ("link.json", "target.json")):
        if not (directory / link).is_symlink():
            (directory / link).symlink_to(target)
    return names(directory)


def names(directory: Path) -> set[str]:
    """The names in the directory, without those of caches."""
    return {file.name for file in directory.iterdir()} - {"home"}


def is_harmless(text: str) -> bool:
    """Whether a terminal only prints it."""
    return all(
        unicodedata.category(letter) not in {"Cc", "Cf", "Cs"} or letter in "\n\u200d\u200e"
        for letter in text
    )


def check_form(answer: Answer) -> None:
    """A status that is documented, two lines of an error at most, and nothing that a terminal obeys."""
    assert answer.status in {0, 1, 2, 3}
    lines = answer.err.splitlines()
    problems = [place for place, line in enumerate(lines) if line.startswith("attn: ")]
    assert len(problems) == (answer.status != 0)
    if problems:
        assert lines[problems[0] + 1 :][0].startswith("try: ")
        assert len(lines) == problems[0] + 2
        assert all(len(line) < 700 for line in lines)
    assert "Traceback" not in answer.err
    assert "internal error" not in answer.err
    assert is_harmless(answer.err)
    assert is_harmless(answer.out)


@pytest.mark.usefixtures("_place")
@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(
    line=command_lines(),
    environment=st.sampled_from(ENVIRONMENTS),
    stdin=st.sampled_from(("", "", "the cat\n", "\udcff")),
)
def test_a_command_line_of_any_kind_gets_an_answer_in_form(
    line: list[str], environment: dict[str, str], stdin: str
) -> None:
    here = Path.cwd()
    before = fill(here)
    note(repr(line))
    answer = attn(*line, stdin=stdin, **environment)
    check_form(answer)
    after = names(here)
    assert not any(name.startswith(".attn-") or name.endswith(".part") for name in after)
    if line[0] != "train":
        written = {Path(word).name for word in line} | {"target.json"}
        assert after - before <= (
            set() if answer.status in {1, 2} else written | {word.lstrip("-o=") for word in line}
        )
    assert (
        (here / "kept.json").read_bytes() == KEPT
        or "--force" in line
        or any("f" in word[:3] for word in line)
    )


def test_every_command_is_among_those_tried() -> None:
    assert {"inspect", "heads", "heatmap", "explain", "effects", "report", "compare", "train"} <= set(
        commands()
    )
    assert all(
        set(words[::2]) <= {word for one in commands()[name] for word in one.opts}
        for name, words in BRIEF.items()
    )
    assert all(any(one.param_type_name == "option" for one in options) for options in commands().values())
