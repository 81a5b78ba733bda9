"""Imports point down the floors of the house; README, Architecture."""

import ast
from pathlib import Path

import pytest

import attn_cli

HOUSE = Path(attn_cli.__file__).parent
GROUND = {"", "errors", "vocabulary", "labels"}
FLOORS = {
    "errors": set(),
    "vocabulary": set(),
    "labels": set(),
    "core": GROUND,
    "models": GROUND | {"core"},
    "analysis": GROUND | {"core"},
    "training": GROUND | {"core", "models", "analysis"},
    "selection": GROUND,
    "portion": GROUND | {"selection"},
    "spelling": GROUND | {"core", "models", "portion"},
    "memory": GROUND | {"models"},
    "pipeline": GROUND | {"core", "models", "analysis", "memory", "selection", "portion", "spelling"},
    "available": GROUND | {"models"},
    "verifying": GROUND | {"core", "models", "analysis", "pipeline"},
    "overview": GROUND | {"core", "models", "analysis", "memory", "pipeline", "selection", "spelling"},
    "show": GROUND | {"core.grid"},
    "console": GROUND,
    "commands": GROUND
    | {
        "core.grid",
        "analysis",
        "pipeline",
        "portion",
        "verifying",
        "overview",
        "available",
        "training",
        "selection",
        "show",
        "console",
    },
    "cli": GROUND | {"commands", "console"},
    "interruption": set(),
    "__main__": {"cli", "interruption"},
}
ALLOWED = {("commands.options", "models.catalogue")}  # completion asks for names, and may load nothing else


def imported(file: Path) -> set[str]:
    """The modules of the package that a file names, late imports too."""
    found = [
        node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)
    ]
    packages = {node.module for node in found if node.module}
    several = {f"{node.module}.{name.name}" for node in found for name in node.names if node.module}
    below = {name.removeprefix("attn_cli").lstrip(".") for name in packages if name.startswith("attn_cli")}
    rooms = {name.removeprefix("attn_cli.") for name in several if name.startswith("attn_cli.")}
    return below | {room for room in rooms if (HOUSE / f"{room.replace('.', '/')}.py").exists()}


@pytest.mark.parametrize("file", sorted(HOUSE.rglob("*.py")), ids=lambda file: str(file.relative_to(HOUSE)))
def test_imports_point_down(file: Path) -> None:
    name = ".".join(file.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__")
    floor = name.partition(".")[0]
    if name == "__init__":
        return  # it names what the package offers
    allowed = FLOORS[floor] | {floor}
    wrong = [
        other
        for other in imported(file)
        if (name, other) not in ALLOWED
        and not any(other == room or (room and other.startswith(f"{room}.")) for room in allowed)
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ["show", "commands", "cli", "console", "analysis", "selection"])
def test_only_models_and_core_know_torch(room: str) -> None:
    files = [HOUSE / f"{room}.py", *(HOUSE / room).rglob("*.py")]
    sources = [file.read_text("utf-8") for file in files if file.exists()]
    assert sources
    assert not any("import torch" in source for source in sources)
