"""Errors about options, in two sentences: what is wrong, and what to type instead."""

import math
import re
from collections.abc import Collection, Sequence
from typing import Any

from attn_cli.errors import UsageError
from attn_cli.spelling import nearest

_PLAIN = r"[\w@%+=:,./…-]+"  # compiled for an error only
SELECTIONS = {"LAYERS", "HEADS", "TOKENS", "L.H,L.H"}  # metavars of options that take a list
_FEW_CHOICES = 4  # are listed in a hint
_LENGTH = r"[\d.]+(in|cm|mm|px)"  # of a picture
_LONGEST_HINT = 60  # characters of a text quoted in a hint
_SYNONYMS = {
    "--input": "--file",
    "--path": "--file",
    "-f": "--file",
    "-i": "--file",
    "--gpu": "--device",
    "--cuda": "--device",
    "--precision": "--dtype",
    "--overwrite": "--force",
    "--silent": "--quiet",
    "--decimals": "--digits",
    "--format": "--out",
    "--colormap": "--cmap",
    "-V": "--version",
    "-v": "--version",
    "--epochs": "--steps",
    "--lr": "--rate",
}
"""Other programs' names for our options."""

_WORDS = {
    **dict.fromkeys(("attention", "attn", "softmax", "probabilities"), "weights"),
    **dict.fromkeys(("q", "query"), "queries"),
    **dict.fromkeys(("k", "key"), "keys"),
    **dict.fromkeys(("v", "value"), "values"),
    **dict.fromkeys(("fp16", "half"), "float16"),
    "fp32": "float32",
    "fp64": "float64",
    "bf16": "bfloat16",
}
"""Other names for a step or a number format."""

TEXT_OPTIONS = {"--text", "--prompt", "--sentence", "-t"}  # other programs' options for our argument


def text_option(name: str, reader: str) -> UsageError:
    """The error for an option before a text; `reader` is the command that a text is for."""
    return UsageError(f"no such option: {name}", f'{reader} "The cat sat": the text needs no option')


def unknown_option(name: str, command: str, hint: str, owners: Sequence[str]) -> UsageError:
    """The error for an option that the command does not have; `owners` are the commands that have it."""
    if owners:
        have = "has" if len(owners) == 1 else "have"
        problem = f"{command} has no option {name}: attn {listed(owners)} {have} it"
        return UsageError(problem, hint or f"leave it out, or attn {owners[0]}")
    return UsageError(f"no such option: {name}", hint or f"{command} --help")


def synonym(name: str) -> str:
    """Our name for an option of other programs; any other name is returned unchanged."""
    return _SYNONYMS.get(name, name)


def suggested(name: str, known: Collection[str]) -> str | None:
    """The option that was probably meant: a synonym, the other case, or the nearest spelling."""
    is_short = not name.startswith("--")
    same = [word for word in (synonym(name), name.swapcase() if is_short else name) if word in known]
    return same[0] if same else nearest(name, known)


def single_dash(typed: str) -> UsageError:
    """The error for a long option that begins with one dash."""
    name = typed.partition("=")[0]
    return UsageError(f"a long option begins with two dashes: {name} has one", f"-{typed}")


def short_with_equals(name: str, value: str) -> UsageError:
    """The error for a short option with an equals sign, which would be part of its value."""
    return UsageError(f"a short option takes no =: {name}={shortened(value)}", line(name, value))


def no_value(option: Any, following: Sequence[str]) -> UsageError:
    """The error for an option whose value is missing."""
    found = f"{following[0]} follows" if following else "nothing follows"
    return UsageError(f"{option_name(option)} has no value: {found}", takes(option))


def empty_value(option: Any) -> UsageError:
    """The error for an option whose value is empty, often because a shell variable is unset."""
    return UsageError(f"the value of {option_name(option)} is empty", f"{takes(option)}, or leave it out")


def needless_value(name: str, value: str) -> UsageError:
    """The error for a flag that was given a value."""
    return UsageError(f"{name} takes no value: '{shortened(value)}' was given", name)


def repeated(option: Any, values: Sequence[Any]) -> UsageError:
    """The error for a single-valued option that was given several values."""
    name = option_name(option)
    if option.is_flag:
        problem = f"{name} and {option.secondary_opts[0]} contradict each other: both were given"
        return UsageError(problem, "leave one of them out")
    times = "twice" if len(values) == 2 else f"{len(values)} times"  # noqa: PLR2004
    shown = listed([f"'{shortened(value)}'" for value in values])
    problem = f"{name} is given {times}: {shown}"
    if option.metavar in SELECTIONS:
        return UsageError(problem, line(name, ",".join(values)))
    return UsageError(problem, "leave one of them out")


def bad_choice(place: str, value: str, choices: Sequence[str], command: str) -> UsageError:
    """The error for a word not in `choices`; `place` is the text before it: `--step `, `ATTN_THEME=`."""
    same = _WORDS.get(value.casefold())
    near = same if same in choices else nearest(value, choices)
    hint = f"{command} --help" if near is None else f"{place}{near}"
    return UsageError(
        f"{place.rstrip(' =')} cannot be '{shortened(value)}': it must be one of {', '.join(choices)}", hint
    )


def bad_number(option: Any, value: str) -> UsageError:
    """The error for a value that is not a number, or is out of range."""
    name, kind = option_name(option), option.type
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    what = "a whole number" if kind.name.startswith("int") else "a number"
    if low is not None:
        what += f" of at least {low}" if high is None else f" from {low} to {high}"
    number = _within(value, low, high)
    if number is None:
        number = option.default if isinstance(option.default, int | float) else _lowest_usual(option, low)
    elif kind.name.startswith("int"):
        number = round(number)
    hint = f"{name} {_usual(option) if number is None else number}"
    if name == "--width" and re.fullmatch(_LENGTH, value):
        hint += f", or for a picture attn heatmap with --width {value}"
    return UsageError(f"{name} takes {what}, not '{shortened(value)}'", hint)


def _lowest_usual(option: Any, low: float | None) -> float | None:
    """The lowest value, unless the help shows another default."""
    return None if isinstance(option.show_default, str) else low


def _usual(option: Any) -> str:
    """The default as the help shows it, or what stands for a value."""
    return option.show_default if isinstance(option.show_default, str) else str(option.metavar)


def option_name(option: Any) -> str:
    """The long name of an option."""
    return str(max(option.opts, key=len))


def takes(option: Any, name: str = "") -> str:
    """The option, by `name` or its long name, with its value as shown in the help."""
    choices = [str(choice) for choice in getattr(option.type, "choices", ())]
    value = "|".join(choices) if 0 < len(choices) <= _FEW_CHOICES else option.metavar or "VALUE"
    return f"{name or option_name(option)}{'' if option.is_flag else f' {value}'}"


def line(start: str, *words: str, always_quoted: bool = False) -> str:
    """A command line to type, with words quoted if the shell needs it and long text truncated."""
    return " ".join(
        [start, *(_quoted(shortened(word, _LONGEST_HINT), always=always_quoted) for word in words)]
    )


def shortened(text: str, most: int = 40) -> str:
    """The text, truncated to `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _quoted(word: str, *, always: bool) -> str:
    if re.fullmatch(_PLAIN, word) and not always:
        return word
    if not any(sign in word for sign in '"$`\\!'):
        return f'"{word}"'
    return "'" + word.replace("'", "'\\''") + "'"


def _within(value: str, low: float | None, high: float | None) -> float | None:
    """The nearest number in range; None if the value is not a number."""
    try:
        number = float(value)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    number = number if low is None else max(low, number)
    return number if high is None else min(high, number)


def listed(names: Sequence[str]) -> str:
    """The names as a list in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
