"""Errors about the words of a command line that are not options: texts, commands, files."""

import os
import re
from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import Any

from attn_cli.arguments.usage import SELECTIONS, line, shortened
from attn_cli.errors import UsageError
from attn_cli.spelling import nearest

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"  # hyphens, dashes and the minus sign
_CURLY = set("\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb")
_WRITTEN = (".png", ".svg", ".pdf", ".json", ".npz", ".safetensors", ".csv")
_SELECTED = r"[-\d.,]+|all"


def unknown_command(words: Sequence[str], commands: Collection[str]) -> UsageError:
    """The error for a first word that is not a command: a typo, or a text or file without a command."""
    first, rest = words[0], words[1:]
    if any(letter.isspace() for letter in first):
        problem = f"no command was given for the text '{shortened(first)}'"
        return UsageError(problem, line("attn inspect", *words))
    if _is_file(first):
        hint = line("attn inspect --file", *words)
        return UsageError(f"no command was given for the file '{first}'", hint)
    problem = f"no such command '{shortened(first)}'"
    near = "--version" if first == "version" else nearest(first, [*commands, "help"])
    if near is not None:
        return UsageError(problem, line("attn", near, *rest))
    return UsageError(problem, f"{line('attn inspect', first)} for a text, or attn --help")


def misplaced_option(name: str, words: Sequence[str], commands: Collection[str]) -> UsageError:
    """The error for an option before its command."""
    command = next((word for word in words if word in commands), None)
    rest = list(words)
    if command is not None:
        rest.remove(command)
    hint = line("attn", command or "inspect", *rest)
    return UsageError(f"{name} comes before the command: options go after it", hint)


def dashed_text(text: str, command: str) -> UsageError:
    """The error for a text that begins with a dash and so was parsed as an option."""
    problem = f"a text that begins with a dash looks like an option: '{shortened(text)}'"
    return UsageError(problem, line(f"{command} --", text, always_quoted=True))


def is_text(word: str, short: Collection[str]) -> bool:
    """Whether a word that begins with a dash is meant as text: it has spaces, or no letter follows."""
    name = word.partition("=")[0]
    if not name.lstrip("-")[:1].isalpha():
        return True
    words = len(name.split())
    return words > (2 if word[:2] in short else 1)


def typographic_option(words: Sequence[str], known: Collection[str]) -> UsageError | None:
    """The error for an option with a typographic dash; None if there is none."""
    plain = {name.lstrip("-"): name for name in known}
    for word in words:
        name, sign, value = word.partition("=")
        meant = plain.get(name.lstrip(_DASHES + "-"))
        if word[:1] in _DASHES and meant is not None:
            problem = f"'{word}' begins with a typographic dash (U+{ord(word[0]):04X}), not with -"
            return UsageError(problem, f"{meant}{sign}{value}")
    return None


def option_as_word(extra: Sequence[str], known: Collection[str]) -> UsageError | None:
    """The error for an option after `--`, or without its dashes; None if there is none."""
    late = next((word for word in extra if word.partition("=")[0] in known), None)
    if late is not None:
        return UsageError(f"everything after -- is text, including {late}", "options before --")
    bare = next((word for word in extra if "=" in word and f"--{word.partition('=')[0]}" in known), None)
    return None if bare is None else UsageError(f"an option begins with dashes: {bare} has none", f"--{bare}")


def needless_words(extra: Sequence[str], command: str) -> UsageError:
    """The error for words after a command that takes no text."""
    return UsageError(
        f"{command} takes no text: '{shortened(' '.join(extra))}' was given", f"{command} --help"
    )


def continued_selection(
    words: Sequence[str], typed: Sequence[str], options: Sequence[Any]
) -> UsageError | None:
    """The error for a selection that continues in further words: `-l 1 2`, `-H 1 , 2`."""
    names = {name for option in options if option.metavar in SELECTIONS for name in option.opts}
    for place, word in enumerate(typed):
        name, sign, first = word.partition("=")
        values = [first] if sign else []
        values += takewhile(re.compile(_SELECTED).fullmatch, typed[place + 1 :])
        if name in names and len(values) > 1 and set(values[1:]) <= set(words):
            problem = f"{name} takes one value, but {values[0]} is followed by {' '.join(values[1:])}"
            numbers = [part for value in values for part in value.split(",") if part]
            return UsageError(problem, f"{name} {','.join(numbers)}")
    return None


def unquoted_phrase(words: Sequence[str], typed: Sequence[str], options: Sequence[Any]) -> UsageError | None:
    """The error for a phrase without quotes after an option that selects tokens: `--rows the cat`."""
    names = {name for option in options if option.metavar == "TOKENS" for name in option.opts}
    for place, word in enumerate(typed):
        name, sign, first = word.partition("=")
        if name in names:
            start, *rest = [first, *typed[place + 1 :]] if sign else typed[place + 1 :]
            following = list(takewhile(_continues_phrase, rest))
            if following and set(following) < set(words):
                problem = f"{name} takes one value, but {start} is followed by {' '.join(following)}"
                return UsageError(problem, line(name, " ".join([start, *following])))
    return None


def _continues_phrase(word: str) -> bool:
    return not word.startswith("-") and not word.endswith(_WRITTEN) and len(word.split()) == 1


def several_texts(words: Sequence[str], command: str) -> UsageError:
    """The error for several texts after a command that reads one."""
    problem = f"{command} reads one text: {len(words)} were given"
    joined = " ".join(words)
    written = next((word for word in words if word.endswith(_WRITTEN) and not _is_file(word)), None)
    if all(map(_is_file, words)):
        hint = f"{line(f'{command} --file', words[0])}, one file at a time"
    elif written is not None:
        hint = f"-o {line(written)} for a file to write"
    elif any(letter.isspace() for word in words for letter in word):
        hint = "put both in one text, or --pair TEXT for a model that takes two"
    elif not _CURLY.isdisjoint(joined[:1] + joined[-1:]):
        problem += ": curly quotes do not group words"
        hint = line(command, joined.strip("".join(_CURLY)))
    else:
        hint = f"{line(command, joined)}: quotes around the text"
    return UsageError(problem, hint)


def _is_file(word: str) -> bool:
    return os.path.isfile(word)  # noqa: PTH113  Path.is_file raises for a name that is too long
