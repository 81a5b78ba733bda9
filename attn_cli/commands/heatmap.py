"""`attn heatmap`: one head, several side by side, or every head as a layer × head grid."""

from pathlib import Path
from typing import Annotated

import typer

from attn_cli.commands import options as given
from attn_cli.commands.answering import drawn, shared_out, title, write
from attn_cli.commands.asking import Options, check_steps, places, portion, reading_of, selection
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.show.writers import PICTURES, either
from attn_cli.vocabulary import DType, Step

_PICTURE = f"The picture: {either(PICTURES)}; may be repeated."


def heatmap(
    context: typer.Context,
    text: given.Text = None,
    out: Annotated[list[Path] | None, given.out(_PICTURE)] = None,
    file: given.File = None,
    pair: given.Pair = None,
    target: given.Target = None,
    kind: given.KindOf = None,
    model: given.Model = "",
    revision: given.Revision = None,
    trust_remote_code: given.TrustCode = False,
    layer: given.Layer = None,
    head: given.Head = None,
    heads: given.Heads = None,
    step: given.Steps = None,
    rows: given.Rows = None,
    columns: given.Columns = None,
    cmap: given.ColourMap = None,
    dpi: given.Dpi = 150,
    force: given.Force = False,
    device: given.Device = "auto",
    dtype: given.Format = DType.FLOAT32,
    causal: given.Causal = None,
    seed: given.Seed = None,
    width: given.Width = None,
    quiet: given.Quiet = False,
) -> None:
    """Draw heads as pictures: one, several, or all of a model.

    Several heads stand side by side; all heads of all layers, which is what is drawn without a
    selection, are a layer by head grid. The heads share one colour scale, each --step has its own.
    Without --step it is their weights. Of more than 1,024 tokens they are pooled; --rows and --columns
    draw a part weight by weight.
    """
    world: World = context.obj
    world.is_quiet = quiet
    if not out:
        raise UsageError("no file was named for the picture", "-o head.png")
    from attn_cli.pipeline import heads as heads_at
    from attn_cli.show import files, picture
    from attn_cli.show.grids import step_panels  # NumPy: 0.1 s

    targets = files.targets(out, tuple(PICTURES), force=force)
    picture.check_colours(cmap)
    steps = tuple(dict.fromkeys(step or (Step.WEIGHTS,)))
    asked = Options(
        text=text,
        file=file,
        pair=pair,
        target=target,
        kind=kind,
        model=model,
        revision=revision,
        trusts_code=trust_remote_code,
        device=device,
        dtype=dtype,
        is_causal=causal,
        seed=seed,
        width=width,
        heads=heads or (),
        chosen=selection(layer, head, heads or ()),
    )
    reading = reading_of(world, asked)
    chosen = places(world, reading, selection(layer, head, heads or ()))
    part = portion(world, reading, rows, columns, steps, shared_out(len(chosen)))
    found = heads_at(reading, chosen, steps, part)
    check_steps(world, reading, found)
    shown = [each for each in steps if each in found[0].steps]
    groups = [step_panels(reading.sides, found, each) for each in shown]
    name = title(reading, ", ".join(shown), groups[0][0][0])
    write(world, targets, PICTURES, lambda: drawn(world, groups, name, cmap, dpi), force=force)
