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


_ARROW = re.compile(r"(?<![\w$])\(([\w$]+)\)=>")
"""An arrow function with one parameter, which needs no brackets."""

_STATEMENTS = {"function", "async", "const", "let", "class", "for", "if", "return", "try"}
"""What cannot go on with what a brace closed, so that no line end is needed between them."""

_CONSTANT = re.compile(r"(?<![.\w$])const\b")
"""Only readers need to be told that a name is never assigned again: it has the same scope with `let`."""

_ZERO = re.compile(r"(?<![\w$.])0(?=\.\d)")
"""The zero before a decimal point."""

_TRUTH = {"true": "!0", "false": "!1"}
_TRUTHS = re.compile(r"(?<![\w$.])(true|false)(?![\w$:])")

_MARK = re.compile(r"[(\[{]|[)\]}]|;let\b|;|(?<![.\w$])let\b")


def for_machines(source: str) -> str:
    """A script without what only readers need; declarations that follow each other are one statement."""
    return _with_joined_declarations(_without_gaps(source))


def _without_gaps(source: str) -> str:
    written, before = list[str](), ""
    for gap, token in tokens(source):
        ends = before == "}" and token in _STATEMENTS
        written += [_kept(gap, before + token[0]) if gap and not ends else "", token]
        before = token[-1]
    return "".join(written)


def _with_joined_declarations(script: str) -> str:
    """`const a=1;let b=2;` as `let a=1,b=2;`."""
    written, statements = [""], _Statements()
    for gap, token in tokens(script):
        kept = "" if gap == " " and written[-1].endswith(",") else gap
        statements.declare[-1] &= gap != "\n"
        is_text = len(token) > 1 and token[0] in "\"'`}/"
        if token[0] == "}":  # it ends the last statement of a block, and a list
            written[-1] = written[-1].removesuffix(";").removesuffix(",")
        written += [kept, statements.text(token) if is_text else statements.code(token)]
    return "".join(written)


class _Statements:
    """Whether the statement in each open bracket declares names."""

    def __init__(self) -> None:
        self.declare = [False]

    def text(self, token: str) -> str:
        """A template opens a bracket where an expression begins, and closes it after that."""
        if token[0] == "}":
            self.declare.pop()
        if token.endswith("${"):
            self.declare.append(False)
        return token

    def code(self, token: str) -> str:
        """The code, with a comma for what would begin another declaration."""
        return _MARK.sub(self._after, _plain(token))

    def _after(self, found: re.Match[str]) -> str:
        mark = found[0]
        if mark in "([{":
            self.declare.append(False)
        elif mark in ")]}":
            self.declare.pop()
        elif mark == ";let" and self.declare[-1]:
            return ","
        else:
            self.declare[-1] = mark.endswith("let")
        return mark


def _plain(code: str) -> str:
    """The same code in the shortest way to write it."""
    code = _TRUTHS.sub(lambda found: _TRUTH[found[0]], code)
    return _ZERO.sub("", _CONSTANT.sub("let", _ARROW.sub(r"\1=>", code)))


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
