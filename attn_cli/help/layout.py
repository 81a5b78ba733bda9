"""Lays out a help page for a given width: paragraphs, lists of names, examples."""

import re
from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import NamedTuple

_WIDEST = 100  # columns: longer lines are hard to read
_INDENT = 2
_GAP = 2
_LONGEST_NAME = 19  # the text for a longer name begins on the next line
_NARROWEST_TEXT = 30  # with less space beside the names, every text is placed below its name
_BELOW = 6  # indentation of a text below its name
_NO_BREAK = "\xa0"
_WORD = r'(?:"[^"]*"|[^\s"])+'
_OPTION = rf"-[\w-]+ (?!-[^\d]){_WORD}"


class Entry(NamedTuple):
    """A name and its description."""

    name: str
    about: str


class Section(NamedTuple):
    """A list of names under a heading."""

    heading: str
    entries: Sequence[Entry]


class Example(NamedTuple):
    """A command line and its description."""

    about: str
    command: str


class Page(NamedTuple):
    """The content of a help page."""

    usage: str
    paragraphs: Sequence[str]
    sections: Sequence[Section]
    examples: Sequence[Example] = ()
    closing: str = ""

    def text(self, width: int) -> str:
        """The page for a terminal of `width` columns."""
        width = min(width, _WIDEST)
        parts = [
            _wrapped(f"Usage: {self.usage}", width, 0, hanging=_BELOW),
            *(_wrapped(paragraph, width, _INDENT) for paragraph in self.paragraphs),
            *_sections(self.sections, width),
            *([_examples(self.examples, width)] if self.examples else ()),
            *([_wrapped(self.closing, width, 0)] if self.closing else ()),
        ]
        return "\n\n".join("\n".join(lines) for lines in parts)


def _sections(sections: Sequence[Section], width: int) -> Iterator[list[str]]:
    """Each section as lines; the texts of all sections begin in the same column."""
    lengths = [len(entry.name) for section in sections for entry in section.entries]
    longest = max((length for length in lengths if length <= _LONGEST_NAME), default=0)
    column = _INDENT + longest + _GAP
    is_beside = width - column >= _NARROWEST_TEXT
    for section in sections:
        entries = _entries(section.entries, width, column if is_beside else None)
        yield [*_wrapped(f"{section.heading}:", width, 0), *entries]


def _entries(entries: Iterable[Entry], width: int, column: int | None) -> Iterator[str]:
    """Names with their texts in `column`; None: below the names."""
    for name, about in entries:
        start = f"{'':{_INDENT}}{name}"
        lines = _wrapped(about, width, _BELOW if column is None else column)
        if column is not None and lines and len(start) + _GAP <= column:
            lines[0] = f"{start:{column}}{lines[0].lstrip()}"
        else:
            yield start
        yield from lines


def _examples(examples: Iterable[Example], width: int) -> list[str]:
    """The examples; long command lines continue after a backslash, as in a shell."""
    lines = ["Examples:"]
    for about, command in examples:
        lines += _wrapped(f"{about}:", width, _INDENT)
        lines += _continued(command, width)
    return lines


def _continued(command: str, width: int) -> list[str]:
    words = re.findall(f"{_OPTION}|{_WORD}", command)
    lines, indent = [f"{'':{2 * _INDENT}}{words[0]}"], 2 * _INDENT + _GAP
    for word, is_last in zip(words[1:], [*[False] * (len(words) - 2), True], strict=True):
        if len(lines[-1]) + 1 + len(word) + (0 if is_last else len(" \\")) <= width:
            lines[-1] += f" {word}"
        else:
            lines[-1] += " \\"
            lines.append(f"{'':{indent}}{word}")
    return lines


def _wrapped(text: str, width: int, indent: int, hanging: int = 0) -> list[str]:
    """The text in lines indented by `indent` spaces, plus `hanging` from the second line on.

    Text in backquotes is not broken.
    """
    lines = wrap(
        re.sub(r"`[^`]*`", lambda code: unbroken(code[0]), text),
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_NO_BREAK, " ") for line in lines]


def unbroken(phrase: str) -> str:
    """The phrase with non-breaking spaces."""
    return phrase.replace(" ", _NO_BREAK)
