"""A page fits every width from 40 to 200 columns, and loses no number of it."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from rich.cells import cell_len

from attn_cli.safe_text import printable
from attn_cli.show.explanation.document import (
    Bar,
    CommandLine,
    Document,
    Paragraph,
    Row,
    Table,
    TableColumn,
    symbols,
    words,
)
from attn_cli.show.explanation.figures import Ledger
from attn_cli.show.explanation.layout import Layout, bar_text, command_text
from attn_cli.show.explanation.writing import Writing
from attn_cli.vocabulary import Language
from tests.support.families import FAMILIES
from tests.support.worlds import attn, attn_in_terminal

TEXT = "the cat sat on the mat, and the mat sat on the 日本 cat"
WIDTHS = ["40", "41", "55", "72", "80", "100", "200"]
OPTIONS = {
    "plain": [],
    "9 digits": ["--digits", "9", "--weights"],
    "half": ["--digits", "9", "--dtype", "float16"],
}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str | Path]]:
    """A twin with many features, one with other ones, and a layer that is printed whole."""
    found: dict[str, list[str | Path]] = {"random": ["-m", "random", "--width", "16", "--head-count", "1"]}
    for name in ("gemma2", "deberta-v2"):
        place = tmp_path_factory.mktemp("laid-out")
        FAMILIES[name].save(place)
        found[name] = ["-m", place]
    return found


def numbers(page: str) -> Counter[str]:
    return Counter(re.findall(r"-?\d+[.,]\d+", page))


@pytest.mark.parametrize("model", ["random", "gemma2", "deberta-v2"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("lang", ["en", "pt"])
def test_a_page_fits_every_width_with_all_of_its_numbers(
    model: str, options: str, lang: str, models: dict[str, list[str | Path]]
) -> None:
    head: list[str | Path] = [TEXT, *models[model], "-l", "0", "-H", "0", "--query", "-1", "--lang", lang]
    whole = attn("explain", *head, *OPTIONS[options])
    for width in WIDTHS:
        page = attn_in_terminal("explain", *head, *OPTIONS[options], COLUMNS=width)
        assert page.status == 0
        assert max(map(cell_len, page.out.splitlines())) <= int(width)
        assert "\x1b" not in page.out
        assert numbers(page.out) == numbers(whole.out)


def lines(table: Table, ledger: Ledger, width: int | None) -> list[str]:
    layout = Layout(Writing(Language.EN, ledger.settle()), width)
    document = Document([table], layout.writing.settled)
    return ["".join(span.text for span in spans) for spans in layout.lines(document)]


def wide_table(ledger: Ledger) -> Table:
    heads = [
        TableColumn(symbols("key"), is_number=False),
        *(TableColumn(symbols(f"n{one}")) for one in range(3)),
    ]
    return Table(heads, [Row(("a token", *(ledger.given(one + 0.5) for one in range(3))))])


def test_columns_that_do_not_fit_continue_below_with_their_labels() -> None:
    ledger = Ledger(4)
    table = wide_table(ledger)
    assert lines(table, ledger, None) == [
        "key          n0      n1      n2",
        "a token  0.5000  1.5000  2.5000",
    ]
    assert lines(table, ledger, 22) == [
        "key         n0     n1",
        "a token 0.5000 1.5000",
        "",
        "key          n2",
        "a token  2.5000",
    ]


def test_a_label_is_cut_before_columns_go_below() -> None:
    ledger = Ledger(4)
    assert lines(wide_table(ledger), ledger, 27) == [
        "key        n0     n1     n2",
        "a tok… 0.5000 1.5000 2.5000",
    ]


def test_the_bar_goes_first_where_it_is_narrow() -> None:
    ledger = Ledger(4)
    heads = [
        TableColumn(symbols("key"), is_number=False),
        TableColumn(symbols("weight")),
        TableColumn(symbols(""), is_number=False, is_optional=True),
    ]
    table = Table(heads, [Row(("the", ledger.given(0.5), Bar(0.5)))])
    assert lines(table, ledger, 40)[1] == "the  0.5000  ██████████"
    assert lines(table, ledger, 20)[1] == "the  0.5000"


@pytest.mark.parametrize(
    ("name", "lines_of_it"),
    [
        ("layers.0.attention.query.weight", ["layers.0.attention.", "query.weight"]),
        ("日本語" * 5, ["日本語" * 3 + "日", "本語日本語"]),
        ("x" * 45, ["x" * 20, "x" * 20, "x" * 5]),
    ],
)
def test_a_name_wider_than_the_page_is_broken(name: str, lines_of_it: list[str]) -> None:
    ledger = Ledger(4)
    layout = Layout(Writing(Language.EN, ledger.settle()), 20)
    document = Document([Paragraph(symbols("{name}", name=name))], layout.writing.settled)
    assert ["".join(span.text for span in spans) for spans in layout.lines(document)] == lines_of_it


@pytest.mark.parametrize(
    ("share", "bar"),
    [(0, ""), (0.002, ""), (0.00625, "▏"), (0.5, "█" * 10), (0.99, "█" * 19 + "▊"), (1, "█" * 20)],
)
def test_a_bar_is_as_long_as_its_share(share: float, bar: str) -> None:
    assert bar_text(Bar(share)).strip() == bar


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash to read the command")
@pytest.mark.parametrize(
    "text",
    [
        "first\nsecond\ttab\r",
        "it's a \\ and 'both'\n",
        "\x1b[31mred\x07 \x411 \u2028 \N{ZERO WIDTH JOINER}x",
        '$(echo no) `x` "$HOME"\n',
        "coração\n",
        "plain",
    ],
)
def test_a_command_pasted_into_bash_has_the_same_text(text: str) -> None:
    command = command_text(CommandLine(words("", ""), ("printf", "%s", text)))
    assert printable(command) == command
    assert subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout == text.encode()  # noqa: S607


def test_control_characters_of_a_text_are_ansi_c_quoted() -> None:
    command = CommandLine(words("", ""), ("attn", "explain", "first\nsecond\ttab"))
    assert command_text(command) == r"attn explain $'first\nsecond\ttab'"
