"""How `attn effects` shows its answer in a terminal."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from attn_cli.commands.results.output import show_reading
from attn_cli.console import World
from attn_cli.safe_text import label
from attn_cli.vocabulary import Kind, Theme

if TYPE_CHECKING:
    from attn_cli.answers.effects import AblationEffects, Effects
    from attn_cli.reading.reading import Reading

_TOKENS = 3  # lines of tokens


def show_effects(
    world: World, reading: "Reading", effects: "Effects", top: int, digits: int, theme: Theme
) -> None:
    """Print the predictions, maps of the effects, the sum beside the logit, the strongest looks, a table."""
    from attn_cli.show.effects.maps import effect_maps
    from attn_cli.show.effects.sentences import look_phrases, predictions_table, sums, what_is_split
    from attn_cli.show.terminal.cell_map import CellMap  # rich: 0.06 s
    from attn_cli.show.terminal.lists import Paragraph, TextTable

    show_reading(world, reading, most=_TOKENS)
    query = _named(reading, effects.position)
    where = f"after {query} comes" if effects.is_next else f"in place of {query} stands"
    world.say(f"\n{where}")
    world.screen.print(TextTable(*predictions_table(effects, digits), right=(1, 2)))
    for grid in effect_maps(effects):
        world.say("")
        world.screen.print(CellMap(grid, digits=digits, theme=world.theme(theme)))
    if effects.direct is not None:
        world.say(f"\ndirect effects on {what_is_split(effects)}:")
        for line in sums(effects, effects.direct):
            world.screen.print(Paragraph(line.split(" "), between=" "))
        for phrases in look_phrases(effects, _namer(reading), query):
            world.screen.print(Paragraph(phrases, between=" "))
    _show_heads(world, effects, top, digits)
    if effects.ablation is not None:
        _note_ablation(world, effects.ablation, digits)


def _show_heads(world: World, effects: "Effects", top: int, digits: int) -> None:
    from attn_cli.show.effects.sentences import heads_table
    from attn_cli.show.terminal.lists import TextTable

    names, rows = heads_table(effects, top, digits)
    if not rows:
        return
    world.say("")
    numbers = range(2, len(names))
    world.screen.print(TextTable(names, rows, right=numbers, rest="widen the window, or use --json"))
    total = len(effects.places)
    if len(rows) < total:
        world.note(f"listed {len(rows):,} of {total:,} heads; --top 0 lists all")


def _note_ablation(world: World, ablation: "AblationEffects", digits: int) -> None:
    from attn_cli.show.effects.sentences import change_cells, name_of

    together = ablation.together
    if together is not None:
        logit, probability, divergence = change_cells(together, digits)
        names = ", ".join(map(name_of, ablation.heads_together))
        world.say(f"\n{names} together: logit {logit}, probability {probability}, KL {divergence}")
    kept = "; all heads keep their weights" if ablation.keeps_patterns else ""
    world.note(f"switched off: contexts are replaced by {ablation.replaced_by}{kept}; KL is in nats")


def _named(reading: "Reading", position: int) -> str:
    token = reading.queries[position]
    return f'"{label(token.text)}" ({token.position})'


def _namer(reading: "Reading") -> "Callable[[Kind, int], str]":
    def named(kind: Kind, position: int) -> str:
        keys = reading.texts.keys(kind)
        return f'"{label(keys[position].text)}" ({position})'

    return named
