"""`attn inspect`: tokens, then the steps of the chosen heads as tables, as JSON, or as files."""

from pathlib import Path
from typing import Annotated

import typer

from attn_cli.commands import options as given
from attn_cli.commands.answering import check_pooled, fitting, shared_out, show_reading, write
from attn_cli.commands.asking import Options, check_steps, heads_or_telling, portion, reading_of, selection
from attn_cli.commands.judging import check, sentence, verdict_on
from attn_cli.console import World
from attn_cli.show.writers import STEPS, Results, either
from attn_cli.vocabulary import DType, Step

_FILES = f"Write {either(STEPS)} instead of tables; may be repeated."


def inspect(
    context: typer.Context,
    text: given.Text = None,
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
    top: given.Top = None,
    digits: given.Digits = 2,
    out: Annotated[list[Path] | None, given.out(_FILES)] = None,
    force: given.Force = False,
    as_json: given.Json = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Compare with transformers; status 3 where it differs."),
    ] = False,
    json_schema: Annotated[bool, typer.Option("--json-schema", help="Print the schema of --json.")] = False,
    device: given.Device = "auto",
    dtype: given.Format = DType.FLOAT32,
    causal: given.Causal = None,
    seed: given.Seed = None,
    width: given.Width = None,
    quiet: given.Quiet = False,
) -> None:
    """Show tokens, scores and softmax weights, head by head.

    Without a selection one telling head is shown. --layer alone is every head of it, --head alone
    that head of every layer. Without --step it is scores and weights, or logits where
    transformers tells no scores. Files and --json hold every
    number in full: --top and --digits are for tables.

    Of more than 1,024 tokens the weights are pooled into a picture; --rows and --columns show a part
    number by number.
    """
    world: World = context.obj
    world.is_quiet = quiet
    from attn_cli.pipeline import document
    from attn_cli.show import data, files
    from attn_cli.show.grids import step_grids, summed_cells  # NumPy: 0.1 s

    if json_schema:
        world.say(data.schema())
        return
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
    targets = files.targets(out or (), tuple(STEPS), force=force)
    steps = tuple(dict.fromkeys(step)) if step else None
    reading = reading_of(world, asked)
    most = shared_out(1) if as_json or targets else fitting(world, reading, digits)
    shown = portion(world, reading, rows, columns, steps, most)
    if shown.is_pooled:
        check_pooled(targets)
    found = heads_or_telling(world, reading, selection(layer, head, heads or ()), steps, shown)
    check_steps(world, reading, found)
    verdict = verdict_on(reading, found) if verify else None
    answer = document(reading) | {"attention": data.attention_entries(found)}
    if verdict is not None:
        answer |= {"verification": verdict.fields()}
    write(world, targets, STEPS, lambda: Results(answer, found), force=force)
    if as_json:
        world.say(data.as_json(answer))
    elif not targets:
        from attn_cli.show.terminal.matrices import Matrices  # rich: 0.06 s

        show_reading(world, reading)
        for grid in step_grids(reading.sides, found):
            world.say("")
            world.screen.print(Matrices(summed_cells(reading.sides, grid), digits=digits, top=top))
        if any(each.is_masked and Step.SCORES in each.steps for each in found):
            world.note("scores are before the mask; after it: -s logits")
    if verdict is not None:
        check(verdict)
        world.note(sentence(verdict))
