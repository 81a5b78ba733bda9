"""`attn models`: what can be loaded here."""

import typer

from attn_cli.commands import options as given
from attn_cli.console import World


def models(context: typer.Context, as_json: given.Json = False, quiet: given.Quiet = False) -> None:
    """List what can be loaded here: families, cached models, devices."""
    world: World = context.obj
    world.is_quiet = quiet
    from attn_cli.models.catalogue import cache_directory, cached_models
    from attn_cli.models.checkpoint import families
    from attn_cli.models.library import devices
    from attn_cli.show import data, terminal

    known, here = families(), devices()
    cached = list(cached_models(world.environment))
    directory = str(cache_directory(world.environment))
    if as_json:
        found = [{"name": model.name, "type": model.type, "path": str(model.path)} for model in cached]
        listing = {"families": list(known), "cache": directory, "cached": found, "devices": here}
        world.say(data.as_json({"schema": 1, **listing}))
        return
    rows = [("family", family, "any directory in Hugging Face layout: -m DIR") for family in known]
    rows += [("built in", "random", "a fresh, seeded layer: --seed, --width, --heads")]
    rows += [
        ("cached", model.name, model.type if model.type in known else f"{model.type}: no family here")
        for model in cached
    ]
    rows += [("device", name, detail) for name, detail in here.items()]
    terminal.columns(("kind", "name", "about"), rows, world.screen)
    if not cached:
        world.note(f"no models in the cache {directory}")
