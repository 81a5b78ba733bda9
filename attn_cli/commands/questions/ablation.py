"""How heads are switched off: which of their contexts, and what replaces them."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands.texts import checked
from attn_cli.console import World
from attn_cli.errors import AttnError, UsageError
from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.vocabulary import AblationMethod

if TYPE_CHECKING:
    from attn_cli.models.predictions import HeadEffects
    from attn_cli.reading.effects.switching import Switching
    from attn_cli.reading.reading import Reading


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


def check_ablation(options_: AblationOptions) -> None:
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


def switching_of(
    world: World, reading: "Reading", heads: "HeadEffects", ablation: AblationOptions
) -> "Switching | None":
    """How heads are switched off; None: they are not.

    Raises:
        AttnError: a file of other texts has none, or cannot be read.
        UsageError: a token of --at is none of the text, or another text has another length.
    """
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
