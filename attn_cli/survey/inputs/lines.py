"""Documents in texts: a line each, or the whole of a file; a line that is no text is named."""

import io
import json
from collections.abc import Iterator
from enum import Enum
from typing import IO, AnyStr

from attn_cli.safe_text import printable, text_encoding
from attn_cli.survey.records import Document, Unread

LONGEST = 1 << 26
"""Bytes of a document that is read: memory must not depend on what a file holds."""

TOO_LONG = f"longer than {LONGEST >> 20} MiB"
MOST_SKIPPED = 1 << 29
"""Bytes of a longer line in which its end is looked for; zeros that take no place on a disk have none."""
_MARK = "utf-8-sig"  # `text_encoding` of every text without another mark
_MOST_SHOWN = 40  # characters of a name

Entry = Document | Unread


class Lost(Enum):
    """A line in place of which nothing is read, and why; after one without an end nothing more is read."""

    LONG = TOO_LONG
    ENDLESS = f"a line that does not end within {MOST_SKIPPED >> 20} MiB, after which nothing was read"


def by_line(file: io.BufferedReader, source: str) -> Iterator[Entry]:
    """A document for each line, without its line end."""
    encoding = text_encoding(file.peek(4)[:4])
    if encoding != _MARK:
        yield from _decoded_lines(file, source, encoding)
        return
    for place, line in enumerate(bounded_lines(file, b"\n"), 1):
        if isinstance(line, Lost):
            yield Unread(source, place, line.value)
        else:
            whole = line.removeprefix(b"\xef\xbb\xbf") if place == 1 else line
            yield _decoded(_without_line_end(whole), source, place)


def as_one(file: io.BufferedReader, source: str) -> Entry:
    """The whole file as one document, without one line end at its end."""
    content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        return Unread(source, 0, TOO_LONG)
    return _decoded(_without_line_end(content), source, 0, text_encoding(content))


def of_json(entry: Entry, field: str | None) -> Entry:
    """The text of a line of JSON: of `field` of an object, by default `text`, or a string alone."""
    if isinstance(entry, Unread) or not entry.text.strip():
        return entry
    try:
        value = json.loads(entry.text)
    except (ValueError, RecursionError) as error:
        why = f"column {error.colno}" if isinstance(error, json.JSONDecodeError) else "its nesting or numbers"
        return Unread(entry.source, entry.place, f"not JSON: {why}")
    if isinstance(value, str) and field is None:
        return as_document(entry.source, entry.place, value)
    name = field or "text"
    if not isinstance(value, dict) or name not in value:
        return Unread(entry.source, entry.place, f"no field '{shown(name)}'")
    return as_document(entry.source, entry.place, value[name], name)


def as_document(source: str, place: int, value: object, field: str = "") -> Entry:
    """A value as a document, if it is text."""
    if not isinstance(value, str):
        return Unread(source, place, f"no text in field '{shown(field)}'")
    if len(value) > LONGEST:
        return Unread(source, place, TOO_LONG)
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a pair, as JSON can spell it, or a byte that is no UTF-8
        return Unread(source, place, f"not Unicode: character {error.start} is {value[error.start]!a}")
    return Document(source, place, value)


def shown(name: str) -> str:
    """A name from outside, for a sentence."""
    return printable(name if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]}…")


def bounded_lines(file: IO[AnyStr], end: AnyStr) -> Iterator[AnyStr | Lost]:
    """The lines with their ends; longer ones than `LONGEST` are skipped, if an end of them is found soon."""
    while line := file.readline(LONGEST):
        if len(line) < LONGEST or line.endswith(end):
            yield line
            continue
        skipped = 0
        while (rest := file.readline(LONGEST)) and not rest.endswith(end):
            skipped += len(rest)
            if skipped > MOST_SKIPPED:
                yield Lost.ENDLESS
                return
        yield Lost.LONG


def _decoded(line: bytes, source: str, place: int, encoding: str = "utf-8") -> Entry:
    try:
        return Document(source, place, line.decode(encoding))
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        byte = f"byte {error.start} is 0x{error.object[error.start]:02x}"
        return Unread(source, place, f"not {name}: {byte}")


def _decoded_lines(file: io.BufferedReader, source: str, encoding: str) -> Iterator[Entry]:
    """The lines of a text in UTF-16 or UTF-32; after a broken character no place of a line is known."""
    text = io.TextIOWrapper(file, encoding, newline="\n")
    place = 0
    try:
        for line in bounded_lines(text, "\n"):
            place += 1
            if isinstance(line, Lost):
                yield Unread(source, place, line.value)
            else:
                yield as_document(source, place, line.removesuffix("\n").removesuffix("\r"))
    except UnicodeDecodeError:
        yield Unread(source, place + 1, f"not {encoding.upper()}, here and after it")
    finally:
        text.detach()


def _without_line_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")
