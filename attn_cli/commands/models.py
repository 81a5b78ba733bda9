"""`attn models`: the models and devices that can be used here."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.commands.results.output import known_for, size
from attn_cli.commands.results.progress import megabytes
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.help.command import Topic
from attn_cli.vocabulary import RANDOM

if TYPE_CHECKING:
    from attn_cli.models.inventory import Available, Embedded, Snapshot

_SUPPORT = {
    "native": "native",
    "bridge": "through transformers",
    "fallback": "through transformers, logits and weights only",
    "refused": "not supported",
    "untried": "not tested",
    "": "not known",
}
_READ_BY = {"native": "attn", "bridge": "transformers", "fallback": "transformers"}
_GROUPS = {"llamas": "Llama family", "towers": "text of multimodal models"}


EXAMPLES = """
The models on this machine:
    attn models
How two model types are supported:
    attn models --families bert gpt2
The devices of this machine:
    attn models --devices
"""


def list_models(
    world: World,
    *,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="With --families: only these model types.",
            show_default=False,
            rich_help_panel=Topic.SHOW,
        ),
    ] = None,
    families: Annotated[
        bool,
        typer.Option(
            "--families",
            help="List all model types and how each is supported, or only those named.",
            rich_help_panel=Topic.SHOW,
        ),
    ] = False,
    devices: Annotated[
        bool, typer.Option("--devices", help="List what --device accepts.", rich_help_panel=Topic.SHOW)
    ] = False,
    as_json: options.Json = False,
) -> None:
    """List the models and devices that can be used here.

    Shows the built-in models, those in the local Hugging Face cache, what the heads of the bundled model are
    known for, and a summary of the model types.

    With --families, a model type is native (attn computes its attention itself), read through transformers
    with every step (bridge) or with logits and weights only (fallback), or not supported (refused): it has
    no attention, or none between tokens.
    """
    _check(names or (), families=families, devices=devices)
    if families:
        _list_types(world, names or (), as_json=as_json)
    elif devices:
        _list_devices(world, as_json=as_json)
    else:
        _list_models(world, as_json=as_json)


def _check(names: Sequence[str], *, families: bool, devices: bool) -> None:
    """Raise `UsageError` if two lists are requested, or names are given without --families."""
    if names and not families:
        problem = f"names apply only to --families: {' '.join(names)}"
        raise UsageError(problem, f"attn models --families {' '.join(names)}")
    if families and devices:
        raise UsageError("--families and --devices cannot be combined", "attn models --devices")


def _list_models(world: World, *, as_json: bool) -> None:
    """The built-in and cached models, and a summary of the model types."""
    from attn_cli.models.inventory import available  # NumPy: 0.1 s

    here = available(world.environment)
    if as_json:
        from attn_cli.show import data

        world.say(data.as_json(_described(here)))
        return
    _print_tables(world, here)
    if not here.cached:
        world.note(f"the Hugging Face cache has no models: {here.cache}")
    world.note("all model types: attn models --families; devices: attn models --devices")


def _described(here: "Available") -> dict[str, object]:
    """The JSON object."""
    return {
        "schema": 1,
        "embedded": asdict(here.embedded),
        "cache": str(here.cache),
        "cached": [asdict(model) | {"path": str(model.path)} for model in here.cached],
        "families": sorted(name for names in here.native.values() for name in names),
        "types": here.counts,
    }


def _print_tables(world: World, here: "Available") -> None:
    from attn_cli.models.inventory import by_pattern
    from attn_cli.show.terminal.lists import TextTable  # rich: 0.06 s

    known = ("known for", f"heads of {here.embedded.name}, with scores from 0 to 1")
    tables = [
        TextTable(("built in", ""), _built_in(here.embedded), is_broken=True),
        TextTable(known, known_for(by_pattern(here.embedded.known)), is_broken=True),
        TextTable(
            ("model types", "computed by attn, or read through transformers"),
            _types(here),
            is_broken=True,
        ),
    ]
    if here.cached:
        columns = ("cached", "type", "read by", "size", "revision")
        tables.insert(1, TextTable(columns, [_cached(model) for model in here.cached]))
    for number, table in enumerate(tables):
        if number:
            world.say("")
        world.screen.print(table)


def _built_in(model: "Embedded") -> list[tuple[str, str]]:
    shape = f"{model.type}, {size(model.layers, model.heads, model.head_size)}"
    return [
        (model.name, f"{shape}; the default model"),
        (RANDOM, "one attention layer with random weights: --seed, --width, --head-count"),
    ]


def _cached(model: "Snapshot") -> tuple[str, ...]:
    on_disk = megabytes(model.size) + ("" if model.has_weights else ", no weights")
    return model.name, model.type, _READ_BY.get(model.served, _SUPPORT[model.served]), on_disk, model.revision


def _types(here: "Available") -> list[tuple[str, str]]:
    """The native types by group, and the number of other types."""
    bridged, partly = here.counts["bridge"], here.counts["fallback"]
    native = [(_group(folder), ", ".join(names)) for folder, names in here.native.items()]
    others = f"{bridged + partly} more types, {partly} of them with logits and weights only"
    return [*native, ("through transformers", others)]


def _group(folder: str) -> str:
    return _GROUPS.get(folder, folder.replace("_", "-"))


def _list_types(world: World, names: Iterable[str], *, as_json: bool) -> None:
    """All model types, or those named, and how each is supported."""
    from attn_cli.models.inventory import model_types, named_types  # NumPy: 0.1 s

    known = model_types()
    words = [word for name in names for word in name.split(",") if word]
    shown = named_types(words, known.families) if words else known.families
    if as_json:
        from attn_cli.show import data

        entries = [asdict(each) for each in shown]
        world.say(data.as_json({"schema": 1, "transformers": known.transformers, "families": entries}))
        return
    rows = [(each.type, _SUPPORT[each.served], each.why) for each in shown]
    columns = ("type", "support", "reason") if any(why for *_, why in rows) else ("type", "support")
    _print_list(world, columns, [row[: len(columns)] for row in rows])
    world.note(f"tested with transformers {known.transformers}; other versions may have other types")


def _list_devices(world: World, *, as_json: bool) -> None:
    """The devices that --device accepts on this machine."""
    from attn_cli.models.devices import list_devices  # torch, if there may be a GPU: 1.7 s

    devices = list_devices()
    if as_json:
        from attn_cli.show import data

        world.say(data.as_json({"schema": 1, "devices": devices}))
    else:
        _print_list(world, ("device", "hardware"), list(devices.items()))


def _print_list(world: World, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from attn_cli.show.terminal.lists import TextTable  # rich: 0.06 s

    world.screen.print(TextTable(columns, rows, is_broken=True))
