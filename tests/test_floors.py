"""Imports point down the layers of the package, without cycles, as in docs/architecture.md.

Imports inside functions and imports only for types count too.
"""

import ast
from pathlib import Path

import pytest

import attn_cli

HOUSE = Path(attn_cli.__file__).parent
GROUND = {"errors", "vocabulary", "safe_text", "record", "shares", "spelling", "arrow", "unfinished"}
MODELS = {
    *("models.source", "models.backend", "models.head_labels", "models.tokens", "models.files"),
    "models.generation",
    "models.predictions",
}
FLOORS = {
    "errors": {"safe_text"},
    "vocabulary": set[str](),
    "safe_text": set[str](),
    "record": set[str](),
    "shares": {"record", "vocabulary"},
    "spelling": set[str](),
    "arrow": {"errors"},
    "interrupts": set[str](),
    "unfinished": set[str](),
    "mapped_files": {"errors", "interrupts", "safe_text"},
    "kept_memory": set[str](),
    "grid": GROUND,
    "core": GROUND,
    "core.streaming": GROUND | {"core"},
    "answers": GROUND | {"core", "grid"},
    "models.files": GROUND | {"mapped_files"},
    "models.generation": GROUND | {"core", "models.files"},
    "models.hf_errors": GROUND,
    "models.tokens": GROUND | {"models.cores", "models.files", "models.hf_errors"},
    "models.cores": GROUND,
    "models.backend": GROUND | {"core", "models.cores"},
    "models.devices": set[str](),
    "models.head_labels": GROUND | {"models.files"},
    "models.source": GROUND
    | {"core", "models.backend", "models.head_labels", "models.predictions", "models.tokens"},
    "models.predictions": GROUND | {"core"},
    "models.gguf": GROUND | {"models.files", "models.tokens"},
    "models.hub": GROUND | {"mapped_files", "models.files"},
    "models.free_memory": GROUND,
    "models.random_layer": GROUND | MODELS | {"core", "models.free_memory"},
    "models.bridge": GROUND | MODELS | {"core", "mapped_files", "models.free_memory", "models.hf_errors"},
    "models.native": GROUND | MODELS | {"core", "mapped_files", "models.gguf", "models.bridge.reference"},
    "models.chosen_tokenizer": GROUND | MODELS | {"models.gguf", "models.hub"},
    "models.open": GROUND
    | MODELS
    | {"models.random_layer", "models.native", "models.bridge.bridge", "models.bridge.model_type"}
    | {"models.hub", "models.chosen_tokenizer"},
    "models.inventory": GROUND
    | MODELS
    | {"models.devices", "models.native", "models.bridge.support", "models.hub"},
    "models": set[str](),  # all of its modules have an entry of their own
    "analysis": GROUND | {"core", "grid"},
    "reading": GROUND | {"", "answers", "core", "grid", "models", "analysis"},
    "survey": GROUND | {"", "core", "grid", "kept_memory", "mapped_files", "models", "analysis", "reading"},
    "training": GROUND | {"core", "interrupts", "kept_memory", "mapped_files", "models", "analysis"},
    "show": GROUND | {"answers", "grid"},
    "api": GROUND | {"analysis", "answers", "core", "grid", "models", "reading", "show"},
    "console": GROUND,
    "help": GROUND,
    "commands": GROUND
    | {
        "help",
        "arguments",
        "grid",
        "mapped_files",
        "console",
        "answers",
        "reading",
        "models",
        "analysis",
        "show",
        "survey",
        "training",
    },
    "arguments": GROUND,
    "cli": GROUND | {"", "interrupts", "console", "help", "commands", "arguments", "mapped_files"},
    "__main__": {"cli", "interrupts"},
}


def module_of(file: Path) -> str:
    """`models.open` for `attn_cli/models/open.py`, and "" for the package itself."""
    return ".".join(file.relative_to(HOUSE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


MODULES = {module_of(file): file for file in sorted(HOUSE.rglob("*.py"))}


def imported(file: Path) -> set[str]:
    """The modules of the package that a file imports anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "attn_cli":
            room = (node.module or "").removeprefix("attn_cli").lstrip(".")
            names = {f"{room}.{name.name}".lstrip(".") for name in node.names}
            found |= names & MODULES.keys() or {room}
    return found


IMPORTS = {module: imported(file) for module, file in MODULES.items() if module}


def is_in(module: str, room: str) -> bool:
    return module == room or (room != "" and module.startswith(f"{room}."))


def floor_of(module: str) -> str:
    """The innermost package with a position in the order."""
    return max((room for room in FLOORS if is_in(module, room)), key=len)


@pytest.mark.parametrize("module", IMPORTS)
def test_imports_point_down(module: str) -> None:
    floor = floor_of(module)
    allowed = FLOORS[floor] | {floor}
    assert {other for other in IMPORTS[module] if not any(is_in(other, room) for room in allowed)} == set()


def test_imports_have_no_cycles() -> None:
    remaining = {module: others & IMPORTS.keys() for module, others in IMPORTS.items()}
    while free := {module for module, others in remaining.items() if not others}:
        remaining = {module: others - free for module, others in remaining.items() if module not in free}
    assert remaining == {}


@pytest.mark.parametrize("room", ["show", "commands", "cli", "console", "analysis", "reading.selection"])
def test_only_models_and_core_import_torch(room: str) -> None:
    sources = [file.read_text("utf-8") for module, file in MODULES.items() if is_in(module, room)]
    assert sources
    assert not any("import torch" in source for source in sources)


def test_no_folder_has_too_many_files() -> None:
    folders = {file.parent for file in MODULES.values()}
    assert {folder.name for folder in folders if len(list(folder.glob("*.py"))) > 16} == set()  # __init__ too
