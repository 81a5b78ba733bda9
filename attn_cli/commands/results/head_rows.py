"""Where several heads look from one query: a line for each head instead of a table for each."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attn_cli.commands.options import TableOptions, WindowOptions
from attn_cli.console import World
from attn_cli.safe_text import label
from attn_cli.vocabulary import Step

if TYPE_CHECKING:
    from attn_cli.grid import Grid, Head
    from attn_cli.reading.reading import Reading
    from attn_cli.show.scale import StepScale

FEW = 4
"""Chosen queries for which there is a line each; more are rows of a table for each head."""


def are_lines(heads: "Sequence[Head]", window: WindowOptions, table: TableOptions) -> bool:
    """Whether the largest keys of a few chosen queries are asked for, in several heads."""
    return (
        table.top is not None and window.rows is not None and len(heads) > 1 and len(heads[0].queries) <= FEW
    )


def steps_of_lines(heads: "Sequence[Head]", steps: Sequence[Step] | None) -> list[Step]:
    """The steps that are shown: by default only the weights, which say where a head looks."""
    shown = list(dict.fromkeys(step for head in heads for step in head.steps))
    return [Step.WEIGHTS] if steps is None and Step.WEIGHTS in shown else shown


def grids_of_lines(
    world: World, reading: "Reading", heads: "Sequence[Head]", steps: Sequence[Step], scale: "StepScale"
) -> "Iterator[Grid]":
    """A grid for each step that has numbers for pairs of tokens; for each head of other steps."""
    from attn_cli.show.grids import first_heads, step_grid
    from attn_cli.show.head_rows import stacked

    names = list(_names(world, reading, heads))
    for step in steps:
        shown = first_heads(heads) if step.is_of_layer else heads
        grids = [step_grid(reading.sides, head, step, scale) for head in shown if step in head.steps]
        if step.is_pairwise and not step.is_of_layer and len(grids) == len(heads):
            yield stacked(grids, names, f"{step} · {_queries(reading, heads[0])}")
        else:
            yield from grids


def _queries(reading: "Reading", head: "Head") -> str:
    tokens = ", ".join(f"{row} {label(reading.queries[row].text)}" for row in head.queries)
    return f"{'query' if len(head.queries) == 1 else 'queries'} {tokens}"


def _names(world: World, reading: "Reading", heads: "Sequence[Head]") -> Iterator[str]:
    """The head and its pattern, if a probe or the card tells; of several rows, the head and the query."""
    if len(heads[0].queries) > 1:
        for head in heads:
            yield from (f"{head.name} {row} {label(reading.queries[row].text)}" for row in head.queries)
        return
    from attn_cli.analysis.patterns import name_of  # NumPy: already imported
    from attn_cli.reading.known_patterns import find_known_patterns

    known = find_known_patterns(reading.source, reading.kind, world.environment)
    for head in heads:
        share = None if known is None else name_of(known.shares.get((head.layer, head.head), ()))
        yield head.name if share is None else f"{head.name} {share.pattern}"
