"""`attn models`: the models and devices that can be used here."""

from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.commands.output import known_for, size
from attn_cli.console import World
from attn_cli.help.command import Topic
from attn_cli.vocabulary import RANDOM

if TYPE_CHECKING:
    from attn_cli.models.inventory import Available, Embedded


def list_models(
    world: World,
    *,
    all_families: Annotated[
        bool,
        typer.Option(
            "--families",
            help="List every model type and how it is supported.",
            rich_help_panel=Topic.SHOW,
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """List the models and devices that can be used here.

    The list has the built-in models, those in the local Hugging Face cache and the supported families,
    then what the heads of the bundled model are known for.

    With --families, a model type is native (read without transformers), a bridge (run by transformers, with
    every step), a fallback (run by transformers, with logits and weights only) or refused: it has no
    attention, or none that is a matrix of tokens.

    Examples:
        What is here:
            attn models
        Every model type and how it is supported:
            attn models --families
    """
    if all_families:
        _list_families(world, as_json=as_json)
        return
    from attn_cli.models.inventory import available  # NumPy, and torch for the devices: 1.8 s

    here = available(world.environment)
    if as_json:
        from attn_cli.show import data

        world.say(data.as_json(_describe(here)))
    else:
        _print_tables(world, here)


def _describe(here: "Available") -> dict[str, object]:
    """The JSON object."""
    cached = [{"name": model.name, "type": model.type, "path": str(model.path)} for model in here.cached]
    return {
        "schema": 1,
        "families": here.families,
        "embedded": asdict(here.embedded),
        "cache": str(here.cache),
        "cached": cached,
        "devices": here.devices,
    }


def _print_tables(world: World, here: "Available") -> None:
    """What can be loaded, and what storybook's heads do."""
    from attn_cli.models.inventory import by_pattern
    from attn_cli.show.terminal.lists import TextTable

    world.screen.print(TextTable(("kind", "name", "about"), _rows(here)))
    world.say("")
    heads = (f"heads of {here.embedded.name} known for", "each with its score, 0 to 1")
    world.screen.print(TextTable(heads, known_for(by_pattern(here.embedded.known))))
    if not here.cached:
        world.note(f"no models in the cache {here.cache}")


def _list_families(world: World, *, as_json: bool) -> None:
    from attn_cli.models.inventory import every_family  # NumPy: 0.1 s
    from attn_cli.show import data
    from attn_cli.show.terminal.lists import TextTable

    support = every_family()
    if as_json:
        families = [asdict(family) for family in support.families]
        world.say(data.as_json({"schema": 1, "transformers": support.transformers, "families": families}))
        return
    rows = [(family.type, family.served, family.why) for family in support.families]
    world.screen.print(TextTable(("type", "served", "why not"), rows))
    world.note(f"measured with transformers {support.transformers}; another version may have other types")


def _rows(here: "Available") -> list[tuple[str, str, str]]:
    """What can be loaded, a line each."""
    return [
        ("built in", here.embedded.name, _size(here.embedded)),
        ("built in", RANDOM, "a fresh, seeded layer: --seed, --width, --head-count"),
        *(("family", name, "any directory in Hugging Face layout: -m DIR") for name in here.families),
        *(("cached", model.name, _served(model.type, here.families)) for model in here.cached),
        *(("device", name, about) for name, about in here.devices.items()),
    ]


def _size(model: "Embedded") -> str:
    return f"{model.type}, {size(model.layers, model.heads, model.head_size)}: what is read without --model"


def _served(kind: str, families: Collection[str]) -> str:
    return kind if kind in families else f"{kind}: through transformers"
