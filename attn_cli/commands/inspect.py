"""`attn inspect`: the tokens and the steps of the chosen heads, as tables, JSON or files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from attn_cli.commands import options
from attn_cli.commands.inputs import check_steps, chosen_window, open_reading, selected_heads, selection
from attn_cli.commands.results.hidden import hidden_keys_in, remarks_on_keys
from attn_cli.commands.results.output import (
    check_pooled,
    fitting,
    shared_out,
    show_hidden,
    show_reading,
    write,
)
from attn_cli.commands.results.weight_scale import check_scale, scale_of_tables
from attn_cli.console import World
from attn_cli.help.command import Topic
from attn_cli.show.writers import STEPS, Results, either
from attn_cli.vocabulary import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attn_cli.analysis.verification import Verdict
    from attn_cli.grid import Head
    from attn_cli.reading.reading import Reading

_FILES = f"Write a file instead of tables: {either(STEPS)}; may be repeated."


_Schema: TypeAlias = Annotated[
    bool,
    typer.Option("--json-schema", help="Print the JSON schema of --json.", rich_help_panel=Topic.OUTPUT),
]
_Watch: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="With --generate: print each token as it is written, and where one head looks then.",
        rich_help_panel=Topic.SHOW,
    ),
]
_Verify: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Check the numbers against transformers; exit status 3 if they differ.",
        rich_help_panel=Topic.COMPUTE,
    ),
]

EXAMPLES = """
One head that stands out:
    attn inspect "the cat sat and the cat sat"
The weights of all heads in the last layer, the 3 largest of each row:
    attn inspect "the cat sat" -l -1 -s weights --top 3
Queries, keys and weights of one head, for NumPy:
    attn inspect "the cat sat" --heads 2.5 -s queries,keys,weights -o head.npz
"""


def inspect_heads(
    world: World,
    *,
    inputs: options.ReadingOptions,
    step: options.Steps = None,
    table: options.TableOptions,
    window: options.WindowOptions,
    text_view: options.TextViewOptions,
    watch: _Watch = False,
    scale: options.ScaleOptions,
    out: Annotated[list[Path] | None, options.out(_FILES)] = None,
    as_json: options.Json = False,
    force: options.Force = False,
    json_schema: _Schema = False,
    compute: options.ComputeOptions,
    verify: _Verify = False,
) -> None:
    """Show tokens, scores and softmax weights, head by head.

    Rows of a table are queries, columns are keys: a row of weights shows how much one token attends to each
    token, and sums to 1, less what a learned sink takes: that has a column of its own.

    Without -l, -H or --heads, one head that stands out on this text is shown. -l alone shows all heads of
    a layer, -H alone the same head in every layer. Without -s, scores and weights are shown (logits and
    weights if transformers does not expose the model's scores).

    With --rows and --top, several heads are listed in one table, with a line for each head and its largest
    keys: where a token looks, in which heads. It is of the weights unless -s says otherwise.

    With --generate the model goes on with the text first. With --watch each token is printed as it is
    written, beside the keys to which the head gives the largest weights from the token before it.

    With --as-text the text itself is shown, each token shaded by the weight that one query gives it. With
    --words rows and columns are words of the text, which have weights and norms.

    Shades of weights span 0 to 1. Beyond 1,024 tokens, weights are averaged over blocks; --rows and
    --columns show a part in full, and --top lists the largest keys of whole rows. Files and --json have
    every number in full precision: --top, --digits, --scale, --limits and --as-text only affect what is
    printed.
    """
    from attn_cli.show import files

    if json_schema:
        from attn_cli.show.data import schema  # NumPy: 0.1 s

        world.say(schema())
        return
    if watch:
        from attn_cli.commands.results.watched_text import check_watch, watch_text

        others = _beside_watch(step, window, text_view, scale, out, as_json=as_json, verify=verify)
        check_watch(inputs, others)
        watch_text(world, inputs, compute, table)
        return
    targets = files.targets(out or (), tuple(STEPS), force=force)
    steps = tuple(dict.fromkeys(step)) if step else None
    if window.words:
        from attn_cli.commands.results.words import word_steps  # few commands merge tokens

        steps = word_steps(steps)
    if text_view.as_text or text_view.mean:
        from attn_cli.commands.results.text_view import check_text_view, show_texts, texts_of

        check_text_view(text_view, steps)
    check_scale(scale, steps)
    reading = open_reading(world, inputs, compute, are_words=window.words)
    if text_view.as_text and not (as_json or targets):
        heads, texts = texts_of(world, reading, selection(inputs), window, is_mean=text_view.mean)
        verdict = _verdict_on(reading, heads) if verify else None
        show_texts(world, reading, texts, table, scale)
        _conclude(world, verdict)
        return
    most = shared_out(1) if as_json or targets else fitting(world, reading, table.digits, window.hiding.hide)
    top = None if as_json or targets else table.top
    shown = chosen_window(world, reading, window, steps, most, top=top)
    if shown.is_pooled:
        check_pooled(targets)
    heads = selected_heads(world, reading, selection(inputs), steps, shown)
    check_steps(world, reading, heads)
    verdict = _verdict_on(reading, heads) if verify else None
    if as_json or targets:
        from attn_cli.reading.document import describe_reading  # tables do without
        from attn_cli.show import data

        answer = describe_reading(reading) | {"attention": data.attention_entries(heads)}
        answer |= {} if verdict is None else {"verification": verdict.fields()}
        write(world, targets, STEPS, lambda: Results(answer, heads), force=force)
        if as_json:
            world.say(data.as_json(answer))
    else:
        _show(world, reading, heads, table, scale, _lines(heads, steps, window, table))
    for remark in remarks_on_keys(reading, heads):
        world.note(remark)
    _conclude(world, verdict)


def _beside_watch(
    steps: "Sequence[Step] | None",
    window: options.WindowOptions,
    text_view: options.TextViewOptions,
    scale: options.ScaleOptions,
    out: "Sequence[Path] | None",
    *,
    as_json: bool,
    verify: bool,
) -> dict[str, object]:
    """The options that show something else than --watch does, with their values."""
    return {
        "--json": as_json,
        "-o": out,
        "--as-text": text_view.as_text,
        "--mean": text_view.mean,
        "--limits": scale.limits,
        "-s": steps,
        "--rows": window.rows,
        "--columns": window.columns,
        "--pool": window.pool,
        "--hide": window.hiding.hide,
        "--words": window.words,
        "--verify": verify,
    }


def _lines(
    heads: "Sequence[Head]",
    steps: "Sequence[Step] | None",
    window: options.WindowOptions,
    table: options.TableOptions,
) -> "Sequence[Step] | None":
    """The steps that are listed with a line for each head; None: each head has a table."""
    if table.top is None or window.rows is None or len(heads) == 1:
        return None
    from attn_cli.commands.results.head_rows import are_lines, steps_of_lines

    return steps_of_lines(heads, steps) if are_lines(heads, window, table) else None


def _verdict_on(reading: "Reading", heads: "Sequence[Head]") -> "Verdict":
    from attn_cli.commands.results.verdict import verdict_on  # few commands compare

    return verdict_on(reading, heads)


def _conclude(world: World, verdict: "Verdict | None") -> None:
    """What the comparison with transformers found; None: there was none.

    Raises:
        DifferenceError: the numbers differ.
    """
    if verdict is not None:
        from attn_cli.commands.results.verdict import check, remarks, sentence

        for remark in remarks(verdict):
            world.note(remark)
        check(verdict)
        world.note(sentence(verdict))


def _show(
    world: World,
    reading: "Reading",
    heads: "Sequence[Head]",
    table: options.TableOptions,
    scale: options.ScaleOptions,
    lines: "Sequence[Step] | None",
) -> None:
    """The tokens, then each step of the heads as a table; or `lines`: steps with a line for each head."""
    from attn_cli.show.grids import step_grids, summed_cells
    from attn_cli.show.terminal.matrices import Matrices  # rich: 0.06 s

    show_reading(world, reading, heads[0])
    show_hidden(world, reading, hidden_keys_in(heads[0]))
    of_steps = scale_of_tables(scale, heads)
    grids = step_grids(reading.sides, heads, of_steps)
    if lines is not None:
        from attn_cli.commands.results.head_rows import grids_of_lines

        grids = grids_of_lines(world, reading, heads, lines, of_steps)
    for grid in grids:
        world.say("")
        whole = summed_cells(reading.sides, grid)
        theme = world.theme(table.theme)
        world.screen.print(Matrices(whole, digits=table.digits, top=table.top, theme=theme))
    shown = {step for head in heads for step in head.steps} if lines is None else lines
    if Step.SCORES in shown and any(head.is_masked for head in heads):
        world.note("scores are shown before masking; -s logits shows them after masking")
