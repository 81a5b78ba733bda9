"""Gets the text from an argument, a file or standard input."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.arguments.usage import line, shortened
from attn_cli.commands.options import TextOptions
from attn_cli.console import World
from attn_cli.errors import AttnError, UsageError
from attn_cli.reading.long_texts.length import check_length
from attn_cli.vocabulary import Kind

if TYPE_CHECKING:
    from attn_cli.reading.chat.message import Chat
    from attn_cli.reading.reading import TextRequest

_STDIN = "-"
_PATIENCE = 1.0  # seconds without data on standard input before a remark


def text_request(
    world: World, options: TextOptions, kind: Kind | None = None, *, runs: bool = True
) -> "TextRequest":
    """The texts to read, checked; `runs`: whether a model runs on them.

    Raises:
        UsageError: no text was given, or two, or one is blank.
        AttnError: a text is not UTF-8, or too long.
    """
    text = checked(_text(world, options.text, options.file), "the text")
    pair = None if options.pair is None else checked(options.pair, "the second text")
    target = None if options.target is None else checked(options.target, "the decoder's text")
    for given, name in ((text, "the text"), (pair, "the second text"), (target, "the decoder's text")):
        if runs:
            check_length(given, name)
    from attn_cli.reading.reading import TextRequest  # NumPy: 0.1 s

    return TextRequest(text, pair, target, kind, _chat(text, options))


def _chat(text: str, options: TextOptions) -> "Chat | None":
    """The text as a user's message; None if it is to be read as it is.

    Raises:
        UsageError: a system message was given without a chat.
        AttnError: it is not UTF-8.
    """
    if not options.chat and options.system is None:
        return None
    from attn_cli.reading.chat.message import requested_chat

    if options.system is not None:
        encodable(options.system, "the system message")
    return requested_chat(text, options.system, is_chat=options.chat)


def piped_text(world: World) -> str:
    """The text in a pipe, for a command that does not need one; empty if there is none.

    It does not wait for a pipe that another process keeps open, as in a CI job.

    Raises:
        AttnError: it is not UTF-8.
    """
    if world.stdin.isatty():
        return ""
    if not world.has_input(_PATIENCE):
        world.note("standard input is open but sends nothing, so it is not read; use - to wait for a text")
        return ""
    return world.read(None)


def _text(world: World, text: str | None, file: Path | None) -> str:
    """The text given as an argument, in a file, or on standard input.

    Raises:
        UsageError: there is none, or two.
        AttnError: it is not UTF-8.
    """
    if text is not None and file is not None:
        problem = f"two texts were given: '{shortened(text)}' and --file {file}"
        raise UsageError(problem, "leave one of them out")
    if file is not None:
        return world.read(None if str(file) == _STDIN else file)
    if text is None:
        return _awaited(world)
    if text == _STDIN:
        return world.read(None)
    if os.path.isfile(text):  # noqa: PTH113  Path.is_file raises for a name that is too long
        world.note(
            f"'{shortened(text)}' is read as text; to read the file with that name: {line('--file', text)}"
        )
    return text


def _awaited(world: World) -> str:
    """The text from standard input, used if no other is given.

    Raises:
        UsageError: it is a terminal, or empty.
    """
    is_terminal = world.stdin.isatty()
    if not is_terminal and not world.has_input(_PATIENCE):
        world.fact("waiting for a text on standard input")
    content = "" if is_terminal else world.read(None)
    if not content:
        raise UsageError("no text was given", '"The cat sat on the mat", or --file PATH, or a pipe')
    return content


def checked(text: str, name: str) -> str:
    """The text, if it is not blank and can be encoded.

    Raises:
        UsageError: it is empty or blank.
        AttnError: it is not Unicode.
    """
    if not text.strip():
        size = "empty" if not text else f"blank: {len(text)} whitespace characters"
        raise UsageError(f"{name} is {size}", 'a text with words, for example "The cat sat on the mat"')
    return encodable(text, name)


def encodable(text: str, name: str) -> str:
    """The text, if it can be encoded.

    Raises:
        AttnError: it is not Unicode.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        problem = f"{name} is not UTF-8: character {error.start} is {text[error.start]!a}"
        raise AttnError(problem, "convert it to UTF-8") from error
    return text
