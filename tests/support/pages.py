"""README and docs/ as a reader meets them: blocks with examples, links, headings, pictures."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
LINKED = (*PAGES, ROOT / "CHANGELOG.md", ROOT / "attn_cli" / "models" / "embedded" / "README.md")
"""All pages that may hold links."""

_BLOCK = re.compile(r"^```(.*)\n((?:.*\n)*?)^```$", re.MULTILINE)
_LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
_WEB = ("https://", "http://")


@dataclass(frozen=True)
class Example:
    """A command line of a page, and what the page says it prints (None: it does not say)."""

    page: Path
    line: int
    command: str
    printed: str | None

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> Iterator[tuple[str, int, str]]:
    """The language, the line of the first line, and the content of each fenced block."""
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        yield found[1], text.count("\n", 0, found.start()) + 2, found[2]


def examples(page: Path) -> Iterator[Example]:
    """Every command line of the page, in its order."""
    for language, line, content in blocks(page):
        if language == "sh":
            for offset, command in enumerate(content.splitlines()):
                yield Example(page, line + offset, command.partition("   #")[0], None)
        if language == "console":
            prompt, _, printed = content.partition("\n")
            yield Example(page, line, prompt.removeprefix("$ "), printed)


def links(page: Path) -> Iterator[str]:
    """What the page's links and pictures lead to, but for the web."""
    text = _BLOCK.sub("", page.read_text("utf-8"))
    return (target for target in _LINK.findall(text) if not target.startswith(_WEB))


def pictures(page: Path) -> list[Path]:
    """The pictures that the page shows."""
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text("utf-8"))
    return [page.parent / target for target in shown]


def anchors(page: Path) -> set[str]:
    """The names of the page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", _BLOCK.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
