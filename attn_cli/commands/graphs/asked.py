"""Which prediction of a text is asked about."""

from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.vocabulary import Theme

if TYPE_CHECKING:
    from attn_cli.reading.reading import Reading

LOOKS = 5
"""How many looks are listed if nothing else is said."""


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
        int | None,
        typer.Option(
            "--edges", min=0, metavar="N", help="Number of looks that are listed.", show_default=f"{LOOKS}"
        ),
    ] = None
    top: Annotated[
        int,
        typer.Option(
            "--top",
            min=0,
            metavar="N",
            help="Number of heads in the table, or with --rollout and --flow of tokens; 0: all.",
        ),
    ] = 10
    digits: options.Digits = 2
    theme: options.ThemeOption = Theme.AUTO


def prediction_place(reading: "Reading", typed: str | None, *, is_next: bool) -> int:
    """The place of the prediction: by default the last token, or the masked one.

    Raises:
        UsageError: it is not one token of the text, or there is no masked token.
    """
    from attn_cli.reading.predictions import masked_positions
    from attn_cli.reading.token_selection.select import select_token

    if typed is not None:
        return select_token(typed, reading.query_side, "position")
    if is_next:
        return len(reading.queries) - 1
    return masked_positions(reading, "--position TOKEN")[0]
