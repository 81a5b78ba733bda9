"""Runs a chat template by the rules of transformers, in a process that can do little else.

A template is a program that comes with the model. Jinja's sandbox keeps it from Python, but lets it compute:
`'x' * 10**10` and `10**10**10` are allowed. So the process has limits of its own, and opens no file.
"""

import encodings.unicode_escape  # noqa: F401  Jinja imports these late, when no file can be opened any more
import html  # noqa: F401
import json
import pprint  # noqa: F401
import sys
import textwrap  # noqa: F401
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NoReturn, TypeAlias

import jinja2.constants
import jinja2.debug  # noqa: F401
from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import MAX_RANGE, ImmutableSandboxedEnvironment, safe_range
from jinja2.utils import Namespace

from attn_cli.models.tokens.guards.limits import limit_process

_Message: TypeAlias = Mapping[str, Any]


class RefusalError(TemplateError):
    """The template called `raise_exception`: it does not take these messages."""


class TooLongError(Exception):
    """The template writes more than its messages explain."""


_FAILURES: tuple[tuple[type[Exception], str], ...] = (
    (RefusalError, "refused"),
    (TemplateSyntaxError, "syntax"),
    (SecurityError, "forbidden"),
    (MemoryError, "memory"),
    (TooLongError, "length"),
    (Exception, "runtime"),
)
_FINAL = (TemplateSyntaxError, SecurityError, MemoryError, TooLongError)


def main() -> None:
    """Answer one question on standard input with one JSON object on standard output."""
    asked = json.load(sys.stdin)
    _now("%c")  # reads the time zone, which no process without files can
    limit_process(asked["seconds"], asked["memory"], opens_files=False)
    json.dump(answer(asked), sys.stdout)


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The `text` and the `messages` as the template took them, or its `failure` and the `problem`."""
    try:
        return _written(asked)
    except Exception as error:  # noqa: BLE001  a template may raise anything
        failure = next(name for kind, name in _FAILURES if isinstance(error, kind))
        line = f"line {error.lineno}: " if isinstance(error, TemplateSyntaxError) else ""
        return {"failure": failure, "problem": f"{line}{error}" if str(error) else type(error).__name__}


def _written(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the template writes for messages whose contents are strings or, if it omits these, lists."""
    template = _environment().from_string(asked["source"])

    def text(messages: Sequence[_Message]) -> str:
        values = {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": True}
        pieces = template.generate(**values, **asked["variables"])
        return "".join(_bounded(pieces, asked["longest"]))

    plain: list[_Message] = asked["messages"]
    parted = [{**message, "content": _parts(message["content"])} for message in plain]
    content = plain[-1]["content"].strip()
    try:
        written = text(plain)
    except _FINAL:
        raise
    except Exception:
        with suppress(Exception):
            return _complete(text(parted), parted, content)
        raise
    if content not in written:
        with suppress(Exception):
            return _complete(text(parted), parted, content)
    return {"text": written, "messages": plain}


def _complete(text: str, messages: Sequence[_Message], content: str) -> dict[str, Any]:
    """The answer, if the text has the content and does not merely print the list.

    Raises:
        ValueError: it does not.
    """
    if content not in text or "{'type'" in text:
        raise ValueError(text)
    return {"text": text, "messages": messages}


def _parts(content: str) -> list[dict[str, str]]:
    """The content as the parts of a message that may have images."""
    return [{"type": "text", "text": content}]


def _bounded(pieces: Iterator[str], longest: int) -> Iterator[str]:
    """The pieces, while they are no longer than that.

    Raises:
        TooLongError: they are.
    """
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > longest:
            raise TooLongError
        yield piece


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in which a forbidden attribute is an error even if its value is not used."""

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:
        """Raise `SecurityError`; Jinja prints nothing for the attribute."""
        kind = type(obj).__name__
        raise SecurityError(f"access to the attribute {attribute!r} of a {kind!r}")


def _environment() -> Sandbox:
    """The environment of `apply_chat_template` (`transformers/utils/chat_template_utils.py`)."""
    environment = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, loopcontrols])
    environment.filters["tojson"] = _to_json
    names: dict[str, object] = {"raise_exception": _refuse, "strftime_now": _now}
    environment.globals.update(names, dict=PlainDict(), namespace=PlainNamespace, range=_short_range)
    return environment


class GenerationBlock(Extension):
    """`{% generation %}`, which marks an assistant's text for training, and writes it as it is."""

    tags = {"generation"}  # noqa: RUF012  as in the base class

    def parse(self, parser: Parser) -> nodes.Node:
        """A block with variables of its own."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)

    def _same(self, caller: Callable[[], str]) -> str:
        return caller()


class PlainDict:
    """`dict` without the attributes of a class."""

    def __call__(self, *pairs: Any, **values: Any) -> dict[Any, Any]:
        """A dictionary."""
        return dict(*pairs, **values)

    def fromkeys(self, *keys: Any) -> dict[Any, Any]:
        """A dictionary of equal values."""
        return dict.fromkeys(*keys)


class PlainNamespace(Namespace):
    """`namespace` without names that begin with an underscore."""

    def __init__(*given: Any, **values: Any) -> None:
        """The pairs and values as attributes."""
        self, *pairs = given
        attributes = dict(*pairs, **values)
        for name in attributes:
            _check_name(name)
        Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        """Set an attribute."""
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace has no attribute {name!r}")


def _short_range(*bounds: int) -> range:
    """The range that the sandbox allows.

    Raises:
        SecurityError: it is longer.
    """
    try:
        return safe_range(*bounds)
    except OverflowError as error:
        raise SecurityError(f"a range of more than {MAX_RANGE:,} numbers") from error


def _refuse(message: object) -> NoReturn:
    raise RefusalError(str(message))


def _now(pattern: str) -> str:
    return datetime.now().strftime(pattern)  # noqa: DTZ005  local time, as in transformers


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
