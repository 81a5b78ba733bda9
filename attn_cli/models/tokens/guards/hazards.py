"""Which parts of a tokenizer are programs that may not end, or may grow a text without bound.

A regular expression can backtrack or recurse for ever, and a replacement that is longer than what it replaces
multiplies a text: forty that double it make a terabyte of a letter. The first are tried in a process of their
own (`trial.py`), the second refused.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from attn_cli.errors import AttnError

MOST_GROWTH = 64
"""How many times as long a text may become by replacements; published tokenizers keep its length."""
HINT = "a tokenizer whose authors you trust"
_IN_FILE = rb'"Regex"\s*:\s*("[^"\\]*(?:\\.[^"\\]*)*")'
_PARTS = ("normalizer", "pre_tokenizer", "decoder")
_CLASS = r"\[\^?\]?(?:\\.|\[(?:\\.|[^\]\\])*\]|[^\]\\\[])*\]"  # [...], with classes inside it
_ESCAPE = r"\\[pP]\{[^}]*\}|\\[^1-9gkKRX]"
_REPEATED_GROUP = r"\)(?:[*+]|\{)"
_UNBOUNDED = r"[*+]|\{\d*,\}|\{\d{4,}|\{\d*,\d{4,}"
_REPEATED = rf"(?:{_UNBOUNDED}\}}?)[+?]?"
_OPTIONAL_GROUP = r"\((?:\?\w*:)?[^()*+{}]*\)\?"
_MAY_BE_ABSENT = r"x[?*]|\)"
_OF_SPACES = (r"\s*[\r\n]+|\s+(?!\S)|\s+", r"\s+(?!\S)|\s+")  # what one gives back the next one takes
_REFERENCE = r"\\[1-9gkKRX]|\(\?(?:P=|P>|R|&|\(|\d)"
_MOST_OPTIONAL = 8  # question marks in an alternative; published ones have three
LONGEST_UNTRIED = 20_000
"""Characters of a text for which a time that grows with the square is short: a second."""
_MOST_REPEATED = 2  # parts of an alternative without a bound: ` ?[^\s\p{L}\p{N}]+[\r\n]*`


def check_growth(inner: Any) -> None:
    """Raise `AttnError` if the normalizer or the decoder makes a text many times as long."""
    for name in ("normalizer", "decoder"):
        component = getattr(inner, name)
        growth = _growth([] if component is None else list(_flat(json.loads(component.__getstate__()))))
        if growth > MOST_GROWTH:
            problem = f"its {name} may make a text {growth:,.0f} times as long"
            raise AttnError(f"the tokenizer is refused: {problem}", HINT)


def has_odd_patterns(content: bytes) -> bool:
    """Whether a `tokenizer.json` has a regular expression that might not end."""
    if b'"Regex"' not in content:  # a tenth of the time of the search
        return False
    try:
        return any(is_odd(str(json.loads(found))) for found in re.findall(_IN_FILE, content))
    except ValueError:  # no JSON: the library says so
        return False


def longest_untried(inner: Any) -> int | None:
    """How long a text may be that a tokenizer need not try first, in characters; None: any length.

    It is 0 where a regular expression might not end.
    """
    components = [getattr(inner, name) for name in _PARTS]
    states = [component.__getstate__() for component in components if component is not None]
    found = [json.loads(state) for state in states if b'"Regex"' in state]
    patterns = [pattern for state in found for pattern in _patterns(_flat(state))]
    if any(map(is_odd, patterns)):
        return 0
    return LONGEST_UNTRIED if any(map(is_slow, patterns)) else None


def is_odd(pattern: str) -> bool:
    """Whether a regular expression repeats what is repeated already, refers back, or calls itself.

    Those of published tokenizers are lists of alternatives, in each of which at most two parts are repeated.
    """
    if re.search(_REFERENCE, pattern):
        return True
    plain = _plain(pattern)
    return bool(re.search(_REPEATED_GROUP, plain)) or any(map(_is_odd_alternative, _alternatives(plain)))


def is_slow(pattern: str) -> bool:
    """Whether a regular expression may take a time that grows with the square of a text.

    After a part that is repeated without a bound it needs another one, for which it goes back step by step.
    """
    for spaces in _OF_SPACES:
        pattern = pattern.replace(spaces, "")
    return any(
        _needs_more(one[repeated.end() :])
        for one in _alternatives(_plain(pattern))
        for repeated in re.finditer(_REPEATED, one)
    )


def _plain(pattern: str) -> str:
    """The expression with `x` for every class and escaped character."""
    return re.sub(_CLASS, "x", re.sub(_ESCAPE, "x", pattern))


def _alternatives(plain: str) -> list[str]:
    """The alternatives of an expression, without groups that are optional and repeat nothing."""
    return re.sub(_OPTIONAL_GROUP, "", plain).split("|")


def _is_odd_alternative(one: str) -> bool:
    """Whether it repeats more parts than published ones, or goes back through two, or has many options."""
    repeated = list(re.finditer(_REPEATED, one))
    if len(repeated) > _MOST_REPEATED or one.count("?") > _MOST_OPTIONAL:
        return True
    return len(repeated) == _MOST_REPEATED and _needs_more(one[repeated[-1].end() :])


def _needs_more(rest: str) -> bool:
    """Whether what follows a repeated part must match."""
    return bool(re.sub(_MAY_BE_ABSENT, "", rest))


def _patterns(states: Iterator[dict[str, Any]] | Sequence[dict[str, Any]]) -> Iterator[str]:
    for state in states:
        pattern = state.get("pattern")
        if isinstance(pattern, dict) and isinstance(pattern.get("Regex"), str):
            yield pattern["Regex"]


def _flat(state: Any) -> Iterator[dict[str, Any]]:
    """The settings of a component and of those inside it, at any depth."""
    waiting = [state]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, dict):
            yield one
            waiting += [part for key in one for part in (one[key] if isinstance(one[key], list) else ())]


def _growth(states: Sequence[dict[str, Any]]) -> float:
    """How many times as long a text may become by all replacements, one after the other."""
    growth = 1.0
    for state in states:
        content, pattern = state.get("content"), state.get("pattern")
        if state.get("type") == "Replace" and isinstance(content, str) and isinstance(pattern, dict):
            replaced = len(str(pattern.get("String", "")))
            growth *= max(1.0, len(content) / replaced if replaced else 1 + len(content))
    return growth
