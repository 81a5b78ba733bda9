"""Where the text comes from: an argument, a file, standard input."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.arguments.usage import line, shortened
from attn_cli.commands.options import TextOptions
from attn_cli.console import World
from attn_cli.errors import AttnError, UsageError
from attn_cli.vocabulary import Kind

if TYPE_CHECKING:
    from attn_cli.reading.reading import TextRequest

_STDIN = "-"
_PATIENCE = 1.0  # seconds that standard input may be silent before a remark says what is waited for


def text_request(world: World, options: TextOptions, kind: Kind | None = None) -> "TextRequest":
    """What is to be read, once it is seen to be text.

    Raises:
        UsageError: there is no text, or two, or one is blank.
        AttnError: one is not UTF-8.
    """
    text = checked(_text(world, options.text, options.file), "the text")
    pair = None if options.pair is None else checked(options.pair, "the second text")
    target = None if options.target is None else checked(options.target, "the decoder's text")
    from attn_cli.reading.reading import TextRequest  # NumPy: 0.1 s

    return TextRequest(text, pair, target, kind)


def piped_text(world: World) -> str:
    """The text that stands in a pipe, for a command that needs none; empty where nothing comes.

    A pipe that somebody else holds open, as in a CI job, is not waited for.

    Raises:
        AttnError: it is not UTF-8.
    """
    if world.stdin.isatty():
        return ""
    if not world.has_input(_PATIENCE):
        world.note("standard input is open and sends nothing, so it is not read; - waits for a text")
        return ""
    return world.read(None)


def _text(world: World, text: str | None, file: Path | None) -> str:
    """The text that a person gave: as an argument, in a file, or on standard input.

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
            f"'{shortened(text)}' is read as a text; to read the file of that name: {line('--file', text)}"
        )
    return text


def _awaited(world: World) -> str:
    """What comes through standard input where no text was named.

    Raises:
        UsageError: it is a terminal, or empty.
    """
    is_terminal = world.stdin.isatty()
    if not is_terminal and not world.has_input(_PATIENCE):
        world.fact("the text is read from standard input, which has sent nothing so far")
    content = "" if is_terminal else world.read(None)
    if not content:
        raise UsageError("no text was given", '"The cat sat on the mat", or --file PATH, or a pipe')
    return content


def checked(text: str, name: str) -> str:
    """The text, if it holds something, and can be encoded.

    Raises:
        UsageError: it is empty or blank.
        AttnError: it is not Unicode.
    """
    if not text.strip():
        size = "empty" if not text else f"blank: {len(text)} white-space characters"
        raise UsageError(f"{name} is {size}", 'give one with words, for example "The cat sat on the mat"')
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        problem = f"{name} is not UTF-8: character {error.start} is {text[error.start]!a}"
        raise AttnError(problem, "convert it to UTF-8") from error
    return text
