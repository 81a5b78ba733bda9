"""A page as Markdown: formulas, tables, and tokens that are never markup."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from attn_cli.show.explanation.markdown import escaped
from tests.support.worlds import attn

HOSTILE = (
    "<script>alert(1)</script> a|b $x$ `code` [x](https://y.z) ![i](u) *b* _i_ ~~s~~ # h &amp; \\ ^2 1. - > q"
    " \x1b[31mred\x1b[0m \u202eright \x07 <!-- c --> **s** __u__ ||| $$ {x} \\| end"
)
OURS = {
    "paragraph",
    "heading",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "strong",
    "inline",
    "text",
    "softbreak",
}


def parsed(page: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page):
        yield token
        yield from token.children or ()


def page_of(text: str, file: Path, *options: str) -> str:
    where = ["-m", "random", "--width", "8", "--head-count", "2", "-l", "0", "-H", "0", "--top", "99"]
    answer = attn("explain", text, *where, "-o", file, *options)
    assert answer.status == 0, answer.err
    return file.read_text()


def without_formulas(page: str) -> str:
    return re.sub(r"^\$\$.*\$\$$", "", page, flags=re.MULTILINE)


@pytest.mark.parametrize("lang", ["en", "pt"])
def test_no_token_is_markup(lang: str, tmp_path: Path) -> None:
    page = page_of(HOSTILE, tmp_path / "page.md", "--query", "-1", "--lang", lang)
    kinds = {re.sub("_(open|close)$", "", token.type) for token in parsed(without_formulas(page))}
    assert kinds <= OURS
    assert "$" not in re.sub(r"\\\$", "", without_formulas(page))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", page)


def test_every_row_of_a_table_has_as_many_cells_as_its_heading(tmp_path: Path) -> None:
    page = page_of(HOSTILE, tmp_path / "page.md", "--query", "-1")
    tables: list[list[int]] = []
    for token in parsed(without_formulas(page)):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append(0)
        elif token.type in {"th_open", "td_open"}:
            tables[-1][-1] += 1
    assert len(tables) > 5
    assert all(len(set(table)) == 1 for table in tables)
    assert "alert" in page


@pytest.mark.parametrize("text", [*HOSTILE.split(" "), "a | b", "`` ` ``", "<b>&lt;</b>", "a\\|b", "\\"])
def test_escaped_text_is_shown_literally(text: str) -> None:
    tokens = [*parsed(f"begin {escaped(text)} end")]
    shown = "".join(token.content for token in tokens if token.type == "text")
    printable = re.sub(r"[\x00-\x1f\u202e]", "", text)
    assert {token.type for token in tokens} <= {
        "paragraph_open",
        "inline",
        "text",
        "paragraph_close",
        "text_special",
    }
    if printable == text:
        inline = "".join(token.content for token in tokens if token.type in {"text", "text_special"})
        assert (shown if "text_special" not in {t.type for t in tokens} else inline) == f"begin {text} end"


def cells(page: str, heading: str) -> Sequence[str]:
    line = next(line for line in page.splitlines() if line.startswith(f"| {heading} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_of_the_softmax_and_its_formula(tmp_path: Path) -> None:
    page = page_of("the cat sat", tmp_path / "page.md", "--query", "2", "--key", "1")
    assert page.startswith('# Why does "sat" (2) look at "cat" (1) with weight 0.')
    assert r"$$\alpha_j = \frac{e^{s_j - \max}}{\sum_i e^{s_i - \max}}$$" in page
    assert cells(page, "key") == ["key", "logit", "exp", "weight", ""]
    assert "| **total** |" in page


def test_a_comma_of_a_number_is_no_punctuation_in_a_formula(tmp_path: Path) -> None:
    page = page_of("the cat sat", tmp_path / "page.md", "--query", "2", "--lang", "pt")
    score = next(line for line in page.splitlines() if re.match(r"\$\$s = .* \\div ", line))
    assert re.search(r"= -?\d+\{,\}\d+", score)
    assert not re.search(r"\d,\d", score)
