"""`attn effects`: what heads do to what the model says next."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.commands.graphs.asked import LOOKS, AskedOptions, prediction_place
from attn_cli.commands.graphs.graph_files import hinting_at_weights, write_effects_graph, write_rows_graph
from attn_cli.commands.graphs.mixing import MixingOptions, show_mixing
from attn_cli.commands.graphs.options import GraphOptions
from attn_cli.commands.graphs.stack import read_stack
from attn_cli.commands.graphs.view import View
from attn_cli.commands.inputs import selection
from attn_cli.commands.pictures.canvas import canvas_of, with_features
from attn_cli.commands.pictures.heading import heading_of
from attn_cli.commands.pictures.options import PictureOptions
from attn_cli.commands.results.effects_view import show_effects
from attn_cli.commands.results.output import drawn, write
from attn_cli.commands.results.progress import measuring
from attn_cli.commands.texts import checked
from attn_cli.console import World
from attn_cli.errors import AttnError, UsageError
from attn_cli.help.command import Topic
from attn_cli.reading.selection import Selection
from attn_cli.record import record
from attn_cli.show.graph.files import GRAPHS
from attn_cli.show.writers import PICTURES, RECORDS, Results
from attn_cli.vocabulary import AblationMethod, Kind, Pattern

if TYPE_CHECKING:
    from attn_cli.answers.effects import Effects, HeadPlace
    from attn_cli.models.predictions import HeadEffects
    from attn_cli.reading.effects.answer import Question
    from attn_cli.reading.effects.head_filter import EffectFilter
    from attn_cli.reading.effects.switching import Switching
    from attn_cli.reading.reading import Reading
    from attn_cli.reading.selection import Place
    from attn_cli.shares import PatternShare

_FILES = f"Write a picture ({PICTURES}), data ({RECORDS}) or a graph ({GRAPHS}) instead; may be repeated."


@record(frozen=True, kw_only=True)
class AblationOptions:
    """How heads are switched off."""

    topic = Topic.HEADS
    ablate: Annotated[
        AblationMethod | None,
        typer.Option(
            "--ablate",
            metavar="METHOD",
            help="Switch heads off as well, one at a time, and those of --heads together: zero, mean or "
            "resample. Their contexts become zeros, their mean over other texts, or those of another text.",
            show_default=False,
        ),
    ] = None
    other: Annotated[
        str | None,
        typer.Option(
            "--other", metavar="TEXT", help="The other text of mean and resample.", show_default=False
        ),
    ] = None
    others: Annotated[
        Path | None,
        typer.Option(
            "--others", metavar="FILE", help="Other texts of mean, one on each line.", show_default=False
        ),
    ] = None
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TOKENS",
            help="Switch heads off at these tokens alone; by default at all.",
            show_default=False,
        ),
    ] = None
    keep_patterns: Annotated[
        bool,
        typer.Option(
            "--keep-patterns",
            help="Let all heads keep the weights that they have while none is switched off.",
        ),
    ] = False


EXAMPLES = """
What each head adds to the likeliest next token:
    attn effects "Tom Thumb went to sea, and Tom"
What matters most of that, as a graph for networkx and Gephi:
    attn effects "Tom Thumb went to sea, and Tom" -o graph.graphml
What changes without two heads, on one token against another:
    attn effects "Tom Thumb went to sea, and Tom" --against " went" --heads 2.6,2.7 --ablate zero
"""


def show_head_effects(
    world: World,
    *,
    inputs: options.ReadingOptions,
    asked: AskedOptions,
    mixing: MixingOptions,
    ablation: AblationOptions,
    out: Annotated[list[Path] | None, options.out(_FILES)] = None,
    graph: GraphOptions,
    as_json: options.Json = False,
    force: options.Force = False,
    picture_options: PictureOptions,
    compute: options.ComputeOptions,
) -> None:
    """Show what the model predicts, and what each head does to that.

    A head's direct effect is what it writes into the residual stream, as the language head reads it: all
    direct effects, those of the feed-forward blocks and of the embedding add up to the logit. Norms are held
    as they are. With --ablate, heads are switched off as well, and what changes is shown beside it: the two
    differ, because later layers read what a head writes, and both are true.

    A look is one head at one of its keys; the looks with the largest direct effects are listed. Table, looks
    and records are of the heads that --heads and --where select, maps and the sum of all. A graph has looks
    as edges that lead from tokens to the prediction. --rollout and --flow ask instead how the weights of
    all layers together lead back to the text.
    """
    from attn_cli.show import files

    _check_ablation(ablation)
    where = _where(asked, ablation)
    targets = files.targets(out or (), (*PICTURES, *RECORDS, *GRAPHS), force=force)
    graph.check(targets)
    view = View(targets, canvas_of(picture_options, targets), picture_options, as_json, force)
    compute = with_features(compute, picture_options, inputs.source.model)
    if not mixing.is_empty:
        _check_unused(mixing.name, _of_effects(asked, ablation, inputs) | graph.given(targets))
        show_mixing(world, inputs, compute, mixing, asked, view)
        return
    is_of_rows = graph.is_of_rows(targets)
    is_alone = is_of_rows and not (as_json or graph.others(targets))
    if is_of_rows:
        unused = _of_effects(asked, ablation) if is_alone else {"--where": asked.where or None}
        _check_unused(f"--graph {graph.measure}", unused)
    reading = read_stack(world, inputs, compute, may_be_encoder=is_alone)
    if not is_alone:
        _show_effects(world, reading, inputs, asked, ablation, where, graph, view)
    if is_of_rows:
        write_rows_graph(world, reading, selection(inputs), asked, graph, view)


def _show_effects(
    world: World,
    reading: "Reading",
    inputs: options.ReadingOptions,
    asked: AskedOptions,
    ablation: AblationOptions,
    where: "EffectFilter",
    graph: GraphOptions,
    view: View,
) -> None:
    from attn_cli.reading.effects.answer import answer

    heads = reading.source.effects(reading.texts)
    question = _question(world, reading, heads, selection(inputs), asked, ablation)
    patterns = _known_patterns(world, reading, where)
    question = replace(
        question,
        heads=where.before_runs(question.heads, patterns),
        where=where,
        keep=graph.share if graph.is_of_effects(view.files) else None,
    )
    with measuring(world, "layers") as progress, hinting_at_weights(question.keep is not None):
        effects = answer(reading, heads, question, patterns, progress)
    if not effects.places:
        world.note("no head meets all --where conditions")
    if view.as_json or view.files:
        _write(world, reading, heads, effects, graph, view)
    else:
        show_effects(world, reading, effects, asked.top, asked.digits, asked.theme)
    if effects.reason:
        world.note(f"no direct effects: {effects.reason}")


def _write(
    world: World,
    reading: "Reading",
    heads: "HeadEffects",
    effects: "Effects",
    graph: GraphOptions,
    view: View,
) -> None:
    from attn_cli.reading.document import describe_reading
    from attn_cli.show import data
    from attn_cli.show.effects.entry import effects_entry, head_records
    from attn_cli.show.effects.maps import effect_maps
    from attn_cli.show.effects.sentences import what_is_predicted

    described = describe_reading(reading)
    text_of_target = {"target_text": described["target"]} if "target" in described else {}
    document = described | text_of_target | effects_entry(effects)
    if graph.is_of_effects(view.files):
        write_effects_graph(world, reading, effects, document, graph, view)
    grids = [[[grid]] for grid in effect_maps(effects)]
    places = sorted({place[1:] for place in heads.places})
    name = heading_of(world, reading, view.pictures, places, what_is_predicted(effects))
    targets, force = graph.others(view.files), view.force
    write(
        world, targets, PICTURES, lambda: drawn(world, grids, name, view.pictures, view.canvas), force=force
    )
    of_json = {path: suffix for path, suffix in targets.items() if suffix == ".json"}
    others = {path: suffix for path, suffix in targets.items() if suffix != ".json"}
    write(world, of_json, RECORDS, lambda: Results(document), force=force)
    of_heads = described | head_records(effects)
    write(world, others, RECORDS, lambda: Results(of_heads), force=force)
    if view.as_json:
        world.say(data.as_json(document))


def _of_effects(
    asked: AskedOptions, ablation: AblationOptions, inputs: options.ReadingOptions | None = None
) -> dict[str, object]:
    """The options that are about effects alone, by name; with `inputs` also those that choose heads."""
    of_effects: dict[str, object] = {
        "--against": asked.against,
        "--where": asked.where or None,
        "--edges": asked.edges,
        "--ablate": ablation.ablate,
    }
    if inputs is None:
        return of_effects
    chosen = inputs.chosen
    of_heads: dict[str, object] = {
        "--layer": chosen.layer,
        "--head": chosen.head,
        "--heads": chosen.heads or None,
    }
    return of_heads | {"--token": asked.token} | of_effects


def _check_unused(by: str, given: Mapping[str, object]) -> None:
    """Raise `UsageError` for an option that has no use beside `by`."""
    for option, value in given.items():
        if value is not None:
            raise UsageError(f"{option} does not apply to {by}", f"leave {option} out")


def _where(asked: AskedOptions, ablation: AblationOptions) -> "EffectFilter":
    from attn_cli.reading.effects.head_filter import parse_effect_filter

    return parse_effect_filter(asked.where or (), is_ablated=ablation.ablate is not None)


def _question(
    world: World,
    reading: "Reading",
    heads: "HeadEffects",
    chosen: Selection,
    asked: AskedOptions,
    ablation: AblationOptions,
) -> "Question":
    from attn_cli.reading.effects.answer import Question
    from attn_cli.reading.effects.asked_token import find_token

    source, kind = reading.source, reading.kind
    named = {"--token": asked.token, "--against": asked.against}
    token, against = (
        None if text is None else find_token(source, kind, text, option) for option, text in named.items()
    )
    places = set(chosen.resolve(source.card.name, source.card.layers, reading.extent.heads))
    listed = [place for place in heads.places if place[1:] in places]
    return Question(
        prediction_place(reading, asked.position, is_next=heads.is_next),
        token,
        against,
        looks=LOOKS if asked.edges is None else asked.edges,
        heads=listed,
        together=listed if chosen.places else (),
        switching=_switching(world, reading, heads, ablation),
    )


def _check_ablation(options_: AblationOptions) -> None:
    """Raise `UsageError` if options of ablation do not fit together."""
    method = options_.ablate
    given = {
        "--other": options_.other,
        "--others": options_.others,
        "--at": options_.at,
        "--keep-patterns": options_.keep_patterns or None,
    }
    if method is None:
        for option, value in given.items():
            if value is not None:
                raise UsageError(
                    f"{option} applies only to --ablate", f"--ablate zero, or leave out {option}"
                )
        return
    if method is AblationMethod.ZERO and (options_.other is not None or options_.others):
        raise UsageError("--ablate zero reads no other text", "--ablate mean, or leave the other text out")
    if options_.other is not None and options_.others is not None:
        raise UsageError("--other and --others were given", "leave one of them out")
    if method is AblationMethod.RESAMPLE and options_.other is None:
        raise UsageError("--ablate resample needs another text of as many tokens", '--other "..."')
    if method is AblationMethod.MEAN and options_.other is None and options_.others is None:
        raise UsageError("--ablate mean needs other texts", "--others FILE, with a text on each line")


def _switching(
    world: World, reading: "Reading", heads: "HeadEffects", ablation: AblationOptions
) -> "Switching | None":
    if ablation.ablate is None:
        return None
    from attn_cli.reading.effects.switching import Switching
    from attn_cli.reading.token_selection.select import select_tokens

    rows = None if ablation.at is None else select_tokens(ablation.at, reading.query_side, "token", "--at")
    others = [_other_effects(reading, text) for text in _other_texts(world, ablation)]
    if ablation.ablate is AblationMethod.RESAMPLE and others[0].length != heads.length:
        problem = f"--other has {others[0].length:,} tokens, and the text {heads.length:,}"
        raise UsageError(
            f"{problem}: contexts are replaced one by one", "a text of as many tokens: attn tokens"
        )
    return Switching(ablation.ablate, rows, others, keeps_patterns=ablation.keep_patterns)


def _other_texts(world: World, ablation: AblationOptions) -> list[str]:
    if ablation.other is not None:
        return [checked(ablation.other, "the other text")]
    if ablation.others is None:
        return []
    lines = [line for line in world.read(ablation.others, "--others").splitlines() if line.strip()]
    if not lines:
        raise AttnError(f"--others {ablation.others} has no text: it is blank", "a text on each line")
    return lines


def _other_effects(reading: "Reading", text: str) -> "HeadEffects":
    """Another text as the same side of the model reads it; a user's message if the text is one."""
    from attn_cli.reading.reading import read

    request, is_target = reading.request, reading.source.has_decoder
    chat = None if request.chat is None else replace(request.chat, user=text, written=None)
    of_text = replace(request, text=text, pair=None, chat=chat)
    other = replace(request, target=text) if is_target else of_text
    texts = read(reading.source, other).texts
    return reading.source.effects(texts)


def _known_patterns(world: World, reading: "Reading", where: "EffectFilter") -> "Mapping[HeadPlace, Pattern]":
    """The pattern that each head is known for, if it is for one.

    Raises:
        UsageError: a condition is about patterns, and the heads of the model are known for none.
    """
    from attn_cli.reading.known_patterns import find_known_patterns

    known = find_known_patterns(reading.source, reading.kind, world.environment)
    if known is not None:
        return _patterns(reading.kind, known.shares)
    if where.needs_patterns:
        problem = f"the heads of {reading.source.card.name} are known for no pattern"
        raise UsageError(problem, "attn heads --probe names them first")
    return {}


def _patterns(kind: Kind, shares: "Mapping[Place, Sequence[PatternShare]]") -> "dict[HeadPlace, Pattern]":
    """The pattern that each head is known for, if it is for one."""
    from attn_cli.analysis.patterns import name_of

    named = {(kind, *place): name_of(of_head) for place, of_head in shares.items()}
    return {place: share.pattern for place, share in named.items() if share is not None}
