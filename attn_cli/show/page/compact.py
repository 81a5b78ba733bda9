"""A script without what only its readers need: comments, spaces, line ends. Names stay."""

import re
from collections.abc import Iterator

_GAP = r"(?P<gap>(?:\s|//[^\n]*|/\*[\s\S]*?\*/)+)"
_TEXT = r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"""
_REGEX = r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/"
_CODE = r"[^\s\"'`{}/]+|."
_TEMPLATE = re.compile(r"[`}](?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)")
"""The text of a template, from its beginning or an expression in it to its end or to the next one."""

_AFTER_VALUE = re.compile(f"{_GAP}|{_TEXT}|{_CODE}")
_ELSEWHERE = re.compile(f"{_GAP}|{_TEXT}|{_REGEX}|{_CODE}")
_VALUE = re.compile(r"[\w$)\]}\"'`](?<!\breturn)$")
"""What `/` divides; after anything else it begins a regular expression."""

_ENDS = re.compile(r"""[\w$)\]}"'`/][\w$(\[{"'`/+-]""")
_PARTS = re.compile(r"[\w$]{2}|\+\+|--|//")


def for_machines(source: str) -> str:
    """A script without comments, and without the spaces and line ends that only readers need."""
    written, before = list[str](), ""
    for gap, token in tokens(source):
        written += [_kept(gap, before + token[0]) if gap else "", token]
        before = token[-1]
    return "".join(written)


def _kept(gap: str, beside: str) -> str:
    """What has to stay of a gap with these characters beside it: a line end may end a statement."""
    if "\n" in gap and _ENDS.match(beside):
        return "\n"
    return " " if _PARTS.match(beside) else ""


def tokens(source: str) -> Iterator[tuple[str, str]]:
    """Texts, and the code between them, each after its gap; a template is several."""
    at, gap, before, open_braces = 0, "", "", list[str]()
    while at < len(source):
        is_template = source[at] == "`" or (source[at] == "}" and open_braces.pop() == "${")
        pattern = _AFTER_VALUE if source[at] != "/" or _VALUE.search(before) else _ELSEWHERE
        found = (_TEMPLATE if is_template else pattern).match(source, at)
        assert found, source[at:]
        at = found.end()
        if found.lastgroup == "gap":
            gap = found[0]
            continue
        yield gap, found[0]
        gap, before = "", found[0]
        if before.endswith("{"):
            open_braces.append(before[-2:])
