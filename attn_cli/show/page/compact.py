"""A script without what only its readers need: comments, spaces, line ends. Names stay.

Texts, templates and regular expressions are put aside, each with a mark in its place, so that a few
substitutions do the rest of the script at once: 20 ms for the page's, on each `attn report`.
"""

import re
from collections.abc import Iterator

_COMMENT = r"(?P<comment>//[^\n]*|/\*[\s\S]*?\*/)"
_TEXT = r"""(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
_REGEX = r"(?P<regex>/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/)"
_CODE = r"[^\"'`{}/]+|."
_TEMPLATE = re.compile(r"[`}](?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)")
"""The text of a template, from its beginning or an expression in it to its end or to the next one."""

_AFTER_VALUE = re.compile(f"{_COMMENT}|{_TEXT}|{_CODE}")
_ELSEWHERE = re.compile(f"{_COMMENT}|{_TEXT}|{_REGEX}|{_CODE}")
_VALUE = re.compile(r"[\w$)\]}\"'`](?<!\breturn)\s*$")
"""What `/` divides; after anything else it begins a regular expression."""

_WHOLE, _OPENS, _GOES_ON, _CLOSES = "\0\1\2\3"
"""Marks of a text, and of a template's parts: from it to an expression, between two, after the last one."""

_MARKS = re.compile("[\0-\3]")

_STATEMENTS = "function|async|const|let|class|for|if|return|try"
"""What cannot go on with what a brace closed, so that no line end is needed between them."""

_ENDS = f"[\\w$)\\]}}{_WHOLE}{_CLOSES}]"
_BEGINS = f"[\\w$(\\[{{{_WHOLE}{_OPENS}+-]"
"""What a statement may end with, and what one may begin with."""

_SHORTER = [
    (re.compile(pattern), shorter)
    for pattern, shorter in (
        (r"[^\S\n]*\n\s*", "\n"),
        (r" [^\S\n]+", " "),
        (r"\n(?:(?<=\+\n)(?=\+)|(?<=-\n)(?=-))", " "),
        # a line end stays where it may end a statement
        (rf"\n(?:(?<=\}}\n)(?=(?:{_STATEMENTS})\b)|(?<!{_ENDS}\n)|(?!{_BEGINS}))", ""),
        # and a space between words, and in `a + +b`
        (r" (?:(?<![\w$+-] )|(?<=[\w$] )(?![\w$])|(?<=\+ )(?!\+)|(?<=- )(?!-))", ""),
        # the last statement of a block, and the last entry of a list
        (f"(?:,;?|;)(?=[}}{_GOES_ON}{_CLOSES}])", ""),
        # an arrow function with one parameter needs no brackets
        (r"\((?<![\w$]\()([\w$]+)\)=>", r"\1=>"),
        # only readers need to be told that a name is never assigned again: it has the same scope with `let`
        (r"const(?<![.\w$]const)\b", "let"),
        (r"0(?<![\w$.]0)(?=\.\d)", ""),
        (r"async(?<![.\w$]async)\(([\w$]+)\)=>", r"async \1=>"),
        (r"new(?<![.\w$]new) (\w+)\(\)(?=[,;)}\]])", r"new \1"),
        (r"true(?<![\w$.]true)(?![\w$:])", "!0"),
        (r"false(?<![\w$.]false)(?![\w$:])", "!1"),
        (r"\+=1(?<=[\w$\])]\+=1)(?=[;)}])", "++"),  # no module reads the value of such an expression
        (r"Number(?<=[(\[,=?:{>]Number)\(([\w$][\w$.]*)\)(?![.\[(*])", r"+\1"),
        (r"undefined(?<![\w$.]undefined)(?![\w$:])", "void 0"),
    )
]
"""Each looks behind after its first character, for which a search is quick."""

_BOUND = re.compile("[(\\[{\1]|[)\\]}\3]|\2|\n|;let\\b ?|;|(?<![.\\w$])let\\b")


def for_machines(source: str) -> str:
    """A script without what only readers need; declarations that follow each other are one statement."""
    texts, code = list[str](), list[str]()
    for kind, part in parts(source):
        if kind == "text":
            texts.append(part)
            code.append(_mark(part))
        else:
            code.append(part if kind == "code" else " ")
    script = "".join(code)
    for pattern, shorter in _SHORTER:
        script = pattern.sub(shorter, script)
    aside = iter(texts)
    return _MARKS.sub(lambda _: next(aside), _with_joined_declarations(script).strip())


def parts(source: str) -> Iterator[tuple[str, str]]:
    """The script in parts: `comment`, `text` (or a regular expression, or a part of a template) or `code`."""
    at, before, open_braces = 0, "", list[str]()
    while at < len(source):
        is_template = source[at] == "`" or (source[at] == "}" and open_braces.pop() == "${")
        pattern = _AFTER_VALUE if source[at] != "/" or _VALUE.search(before) else _ELSEWHERE
        found = (_TEMPLATE if is_template else pattern).match(source, at)
        assert found, source[at:]
        at, part = found.end(), found[0]
        if found.lastgroup == "comment":
            yield "comment", part
            continue
        yield "text" if is_template or found.lastgroup else "code", part
        before = part if part.strip() else before
        if part.endswith("{"):
            open_braces.append(part[-2:])


def _mark(text: str) -> str:
    """What stands for a text, or for a part of a template."""
    if text.endswith("${"):
        return _GOES_ON if text[0] == "}" else _OPENS
    return _CLOSES if text[0] == "}" else _WHOLE


def _with_joined_declarations(script: str) -> str:
    """`let a=1;let b=2;` as `let a=1,b=2;`."""
    declares = [False]  # whether the statement in each open bracket declares names

    def after(found: re.Match[str]) -> str:
        bound = found[0]
        if bound in "([{\1":
            declares.append(False)
        elif bound in ")]}\3":
            declares.pop()
        elif bound == _GOES_ON:
            declares[-1] = False
        elif bound.startswith(";let") and declares[-1]:
            return ","
        else:
            declares[-1] = "let" in bound
        return bound

    return _BOUND.sub(after, script)
