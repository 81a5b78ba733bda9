"""The modules of the page as one script in the order of their imports: browsers load none from disk."""

import re
from graphlib import TopologicalSorter
from importlib.resources import files

from attn_cli.show.page.compact import for_machines

_IMPORT = r'^import (?:\{([^}]*)\} from )?"\.[./a-z_]*/([a-z_]+)\.js";\n'
_EXPORT = r"^export (?=(?:async )?(?:const|function) )"
_NAMES = r"^(?:export )?(?:(?:async )?function|const|let|class) (\w+|\[[^\]]*\]|\{[^}]*\})"

_FUNCTION = re.compile(r"^(async )?function (\w+)(\(.*\)) \{$([\s\S]*?)^\}$", re.MULTILINE)

_FIRST = "main"


def whole_script() -> str:
    """Every module that `main.js` needs, each once, after those that it imports, in one scope."""
    sources = _sources()
    needed = {name: {module for _, module in _imports(source)} for name, source in sources.items()}
    return for_machines("".join(_body(sources[name]) for name in TopologicalSorter(needed).static_order()))


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
    """The names that are imported, and the module that they are from."""
    return re.findall(_IMPORT, source, re.MULTILINE)


def names_of(source: str) -> list[str]:
    """The names of a module, exported or its own: no other module has the same, for all share one scope."""
    return [name for names in re.findall(_NAMES, source, re.MULTILINE) for name in re.findall(r"\w+", names)]


def _body(source: str) -> str:
    return as_constants(re.sub(f"{_IMPORT}|{_EXPORT}", "", source, flags=re.MULTILINE))


def as_constants(source: str) -> str:
    """A module whose functions are constants, which are shorter; none is called before its own line."""
    return _FUNCTION.sub(r"const \2 = \1\3 => {\4};", source)
