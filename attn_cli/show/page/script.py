"""The modules of the page as one script in the order of their imports: browsers load none from disk."""

import re
from graphlib import TopologicalSorter
from importlib.resources import files

_IMPORT = r'^import (\{[^}]*\}) from "\.[./a-z_]*/([a-z_]+)\.js";$'
_EXPORT = r"^export (?=(?:async )?(?:const|function) (\w+))"
_FOR_READERS = r"^ *(?:(?://|/\*\*|\*).*)?\n|^ +"
"""Lines that are comments, empty lines and indentation: readers of the modules need them, pages do not."""

_LITERAL = r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)"""
_REGEX = r"[(=,:] ?/[^/*]"
_SPACE = r"(?<![\w$]) +(?![-+])| +(?![-+\w$])|(?<=[\w$)\]]) +(?=[-+])"
"""Spaces beside punctuation, which say nothing; but `a + +b` is not `a ++b`."""

_FIRST = "main"


def whole_script() -> str:
    """Every module that `main.js` needs, each once, after those that it imports."""
    sources = _sources()
    needed = {name: {module for _, module in _imports(source)} for name, source in sources.items()}
    return "\n".join(_as_function(name, sources[name]) for name in TopologicalSorter(needed).static_order())


def _sources() -> dict[str, str]:
    sources, needed = dict[str, str](), [_FIRST]
    while needed:
        name = needed.pop()
        if name not in sources:
            sources[name] = _source(name)
            needed += [module for _, module in _imports(sources[name])]
    return sources


def _source(name: str) -> str:
    """The module of this name, which no other module has, whatever its folder."""
    folder = files("attn_cli.show.page") / "script"
    (found,) = (
        place / f"{name}.js" for place in (folder, folder / "views") if (place / f"{name}.js").is_file()
    )
    return found.read_text("utf-8")


def _imports(source: str) -> list[tuple[str, str]]:
    """The names that are imported, in braces, and the module that they are from."""
    return re.findall(_IMPORT, source, re.MULTILINE)


def _as_function(name: str, source: str) -> str:
    """The module as a function that returns what it exports: its other names stay its own."""
    exported = re.findall(_EXPORT, source, re.MULTILINE)
    body = re.sub(_IMPORT, r"const \1 = $\2;", source, flags=re.MULTILINE)
    body = re.sub(_FOR_READERS, "", re.sub(_EXPORT, "", body, flags=re.MULTILINE), flags=re.MULTILINE)
    lines = "".join(without_spaces(line) for line in body.splitlines(keepends=True))
    return f"const ${name}=(()=>{{\n{lines}return{{{','.join(exported)}}};\n}})();"


def without_spaces(line: str) -> str:
    """The line without the spaces and the comment that only readers need.

    One with a regular expression, or a template within a template, stays as it is.
    """
    parts = re.split(_LITERAL, line)  # code and literals by turns
    if re.search(_REGEX, line) or any(
        part.count("${") != part.count("}") for part in parts[1::2] if "`" in part
    ):
        return line
    kept = ""
    for code, literal in zip(parts[::2], [*parts[1::2], ""], strict=True):
        plain, comment, _ = code.partition(" // ")
        kept += re.sub(_SPACE, "", plain)
        if comment:
            return f"{kept}\n"
        kept += literal
    return kept
