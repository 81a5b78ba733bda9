"""`attn effects`: what heads do to what the model says next."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.commands.inputs import generation_of, open_model, read_whole, selection, source_request
from attn_cli.commands.pictures.canvas import canvas_of, with_features
from attn_cli.commands.pictures.heading import heading_of
from attn_cli.commands.pictures.options import PictureOptions
from attn_cli.commands.results.effects_view import show_effects
from attn_cli.commands.results.output import drawn, write
from attn_cli.commands.results.progress import measuring
from attn_cli.commands.texts import checked, text_request
from attn_cli.console import World
from attn_cli.errors import AttnError, UsageError
from attn_cli.help.command import Topic
from attn_cli.reading.selection import Selection
from attn_cli.record import record
from attn_cli.show.writers import PICTURES, RECORDS, Results
from attn_cli.vocabulary import AblationMethod, Kind, Pattern, Theme

if TYPE_CHECKING:
    from attn_cli.answers.effects import HeadPlace
    from attn_cli.models.predictions import HeadEffects
    from attn_cli.models.source import Source
    from attn_cli.reading.effects.answer import Question
    from attn_cli.reading.effects.switching import Switching
    from attn_cli.reading.reading import Reading
    from attn_cli.reading.selection import Place
    from attn_cli.shares import PatternShare

_FILES = f"Write a picture ({PICTURES}) or data ({RECORDS}) instead; may be repeated."


@record(frozen=True, kw_only=True)
class AskedOptions:
    """Which prediction is looked at."""

    topic = Topic.SHOW
    position: Annotated[
        str | None,
        typer.Option(
            "--position",
            metavar="TOKEN",
            help="The token after which the prediction is made: a position, or a word of the text; by "
            "default the last. Of masked-language models, the masked token.",
            show_default=False,
        ),
    ] = None
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TEXT",
            help="The predicted token that is asked about, with the space before it; by default the "
            "likeliest.",
            show_default=False,
        ),
    ] = None
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="TEXT",
            help="Effects on the difference between the token's logit and that of this token; by default, on "
            "its logit less the vocabulary's mean.",
            show_default=False,
        ),
    ] = None
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Only heads that meet this condition: `direct>1`, `pattern=induction`, `layer>1`, and with "
            "--ablate `logit<-1`, `probability<-0.1`, `KL>0.5`. May be repeated; all conditions must hold.",
            show_default=False,
        ),
    ] = None
    edges: Annotated[
        int, typer.Option("--edges", min=0, metavar="N", help="Number of looks that are listed.")
    ] = 5
    top: Annotated[
        int, typer.Option("--top", min=0, metavar="N", help="Number of heads in the table; 0: all.")
    ] = 10
    digits: options.Digits = 2
    theme: options.ThemeOption = Theme.AUTO


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
What changes without each of them:
    attn effects "Tom Thumb went to sea, and Tom" --ablate zero
Two heads together, on one token against another:
    attn effects "Tom Thumb went to sea, and Tom" --against " went" --heads 2.6,2.7 --ablate zero
"""


def show_head_effects(
    world: World,
    *,
    inputs: options.ReadingOptions,
    asked: AskedOptions,
    ablation: AblationOptions,
    out: Annotated[list[Path] | None, options.out(_FILES)] = None,
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

    A look is one head at one of its keys; the looks with the largest direct effects are listed. The maps and
    the sum are of all heads; the table, the looks and records are of those that --heads and --where select.
    """
    from attn_cli.reading.effects.answer import answer
    from attn_cli.reading.effects.head_filter import parse_effect_filter
    from attn_cli.reading.known_patterns import find_known_patterns
    from attn_cli.show import data, files
    from attn_cli.show.effects.entry import effects_entry, head_records

    _check_ablation(ablation)
    where = parse_effect_filter(asked.where or (), is_ablated=ablation.ablate is not None)
    targets = files.targets(out or (), (*PICTURES, *RECORDS), force=force)
    canvas = canvas_of(picture_options, targets)
    compute = with_features(compute, picture_options, inputs.source.model)
    reading, heads = _opened(world, inputs, compute)
    known = find_known_patterns(reading.source, reading.kind, world.environment)
    if known is None and where.needs_patterns:
        raise _no_patterns(reading)
    patterns = {} if known is None else _patterns(reading.kind, known.shares)
    question = _question(world, reading, heads, selection(inputs), asked, ablation)
    question = replace(question, heads=where.before_runs(question.heads, patterns), where=where)
    with measuring(world, "layers") as progress:
        effects = answer(reading, heads, question, patterns, progress)
    if as_json or targets:
        from attn_cli.reading.document import describe_reading
        from attn_cli.show.effects.maps import effect_maps
        from attn_cli.show.effects.sentences import what_is_predicted

        described = describe_reading(reading)
        text_of_target = {"target_text": described["target"]} if "target" in described else {}
        document = described | text_of_target | effects_entry(effects)
        of_heads = described | head_records(effects)
        grids = [[[grid]] for grid in effect_maps(effects)]
        places = sorted({place[1:] for place in heads.places})
        name = heading_of(world, reading, picture_options, places, what_is_predicted(effects))
        write(
            world, targets, PICTURES, lambda: drawn(world, grids, name, picture_options, canvas), force=force
        )
        of_json = {path: suffix for path, suffix in targets.items() if suffix == ".json"}
        others = {path: suffix for path, suffix in targets.items() if suffix != ".json"}
        write(world, of_json, RECORDS, lambda: Results(document), force=force)
        write(world, others, RECORDS, lambda: Results(of_heads), force=force)
        if as_json:
            world.say(data.as_json(document))
    else:
        show_effects(world, reading, effects, asked.top, asked.digits, asked.theme)
    if effects.reason:
        world.note(f"no direct effects: {effects.reason}")


def _opened(
    world: World, inputs: options.ReadingOptions, compute: options.ComputeOptions
) -> "tuple[Reading, HeadEffects]":
    """The text as the side of the model reads it that predicts.

    Raises:
        AttnError: the model or its weights cannot be read, or it predicts nothing that is known.
    """
    generation = generation_of(inputs, compute)
    texts = text_request(world, inputs.text)
    source = open_model(world, source_request(inputs.source, compute, is_drawn=generation is not None))
    _check_kind(inputs.kind, source)
    if source.has_decoder:
        target = "" if texts.target is None and generation is None else texts.target
        texts = replace(texts, kind=Kind.DECODER, target=target)
    reading = read_whole(world, source, texts, generation)
    reading = reading.with_suited_backend(source.card.layers)
    return reading, reading.source.effects(reading.texts)


def _check_kind(kind: Kind | None, source: "Source") -> None:
    """Check that the kind of attention, if one was typed, is that of the side that predicts.

    Raises:
        UsageError: it is not, or the model does not have it.
    """
    from attn_cli.reading.reading import check_kind

    if kind is None:
        return
    check_kind(kind, source)
    if source.has_decoder and kind is not Kind.DECODER:
        problem = f"--kind {kind} does not apply: effects are those of all decoder and cross heads"
        raise UsageError(problem, "leave out --kind")


def _no_patterns(reading: "Reading") -> UsageError:
    """The error for a condition about patterns of heads that have none."""
    name = reading.source.card.name
    return UsageError(f"the heads of {name} are known for no pattern", "attn heads --probe names them first")


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
        _position(reading, heads, asked.position),
        token,
        against,
        looks=asked.edges,
        heads=listed,
        together=listed if chosen.places else (),
        switching=_switching(world, reading, heads, ablation),
    )


def _position(reading: "Reading", heads: "HeadEffects", typed: str | None) -> int:
    """The place of the prediction: by default the last token, or the masked one.

    Raises:
        UsageError: it is not one token of the text, or there is no masked token.
    """
    from attn_cli.reading.predictions import masked_positions
    from attn_cli.reading.token_selection.select import select_token

    if typed is not None:
        return select_token(typed, reading.query_side, "position")
    if heads.is_next:
        return len(reading.queries) - 1
    return masked_positions(reading, "--position TOKEN")[0]


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


def _patterns(kind: Kind, shares: "Mapping[Place, Sequence[PatternShare]]") -> "dict[HeadPlace, Pattern]":
    """The pattern that each head is known for, if it is for one."""
    from attn_cli.analysis.patterns import name_of

    named = {(kind, *place): name_of(of_head) for place, of_head in shares.items()}
    return {place: share.pattern for place, share in named.items() if share is not None}
