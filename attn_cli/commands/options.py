"""The options that commands share: one name, one meaning, one help text."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from attn_cli.vocabulary import EMBEDDED, RANDOM, DType, Kind, Step


def _models(incomplete: str) -> list[str]:
    """The names that begin like this: in the local cache, and what is built in."""
    import os

    from attn_cli.models.hub.locate import cached_models

    names = [EMBEDDED, RANDOM, *(model.name for model in cached_models(os.environ))]
    return [name for name in names if name.startswith(incomplete)]


Text: TypeAlias = Annotated[
    str | None, typer.Argument(metavar="TEXT", help="The text; - reads standard input.", show_default=False)
]
File: TypeAlias = Annotated[
    Path | None, typer.Option("--file", metavar="PATH", help="Read the text from a file.", show_default=False)
]
Pair: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--pair", metavar="TEXT", help="A second text, for models that take one.", show_default=False
    ),
]
Target: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="TEXT",
        help="The decoder's text, for encoder-decoder models.",
        show_default=False,
    ),
]
KindOf: TypeAlias = Annotated[
    Kind | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help=f"Which attention of the model: {', '.join(Kind)}.",
        show_default=False,
    ),
]
Model: TypeAlias = Annotated[
    str,
    typer.Option(
        "-m",
        "--model",
        metavar="MODEL",
        envvar="ATTN_MODEL",
        autocompletion=_models,
        help="A directory in Hugging Face layout, a name in its cache or on the hub, a .gguf file, "
        "storybook or random.",
        show_default=False,
    ),
]
Revision: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--revision",
        metavar="REV",
        help="Of a model of the hub: a branch, a tag or a commit.",
        show_default=False,
    ),
]
TrustCode: TypeAlias = Annotated[
    bool, typer.Option("--trust-remote-code", help="Let a checkpoint run Python code of its own.")
]
Layer: TypeAlias = Annotated[
    str | None,
    typer.Option("-l", "--layer", metavar="LAYERS", help="3, -1, 0,2,5, 4-7 or all.", show_default=False),
]
Head: TypeAlias = Annotated[
    str | None,
    typer.Option("-H", "--head", metavar="HEADS", help="3, -1, 0,2,5, 4-7 or all.", show_default=False),
]
Heads: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--heads",
        metavar="L.H,L.H",
        help="Heads of single layers: 0.1,3.4. For random also how many heads it has: 8.",
        show_default=False,
    ),
]
Steps: TypeAlias = Annotated[
    list[Step] | None,
    typer.Option(
        "-s",
        "--step",
        metavar="STEP",
        help=f"A step of the computation: {', '.join(Step)}. May be repeated.",
        show_default=False,
    ),
]
Rows: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--rows",
        metavar="TOKENS",
        help="Only these queries are computed, by position: 3, -1, 0,2,5, 4-7 or all.",
        show_default=False,
    ),
]
Columns: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="TOKENS",
        help="Only these keys are shown, by position; the weights stay those of the whole row.",
        show_default=False,
    ),
]
Device: TypeAlias = Annotated[
    str,
    typer.Option("--device", metavar="DEVICE", envvar="ATTN_DEVICE", help="auto, cpu, cuda, cuda:N or mps."),
]
Format: TypeAlias = Annotated[DType, typer.Option("--dtype", help="The number format.")]
Causal: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--causal/--no-causal",
        help="Mask what comes later, or not; else as the model says.",
        show_default=False,
    ),
]
Seed: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--seed", min=0, metavar="N", help="Of random: another seed, another layer.", show_default=False
    ),
]
Width: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--width",
        min=1,
        max=65536,
        metavar="N",
        help="Of random: features a token, 64 unless said.",
        show_default=False,
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("-q", "--quiet", help="No remarks on standard error.")]
Top: TypeAlias = Annotated[
    int | None,
    typer.Option("--top", min=1, metavar="K", help="Only the K largest of each row.", show_default=False),
]
Digits: TypeAlias = Annotated[
    int, typer.Option("--digits", min=0, max=9, metavar="N", help="Decimal places.")
]
ColourMap: TypeAlias = Annotated[
    str | None,
    typer.Option("--cmap", metavar="NAME", help="A colour map of matplotlib.", show_default=False),
]
Dpi: TypeAlias = Annotated[
    int, typer.Option("--dpi", min=10, max=2400, metavar="N", help="Pixels an inch, for .png.")
]


def out(help_text: str) -> object:
    """`-o`, whose kinds of file differ from command to command."""
    return typer.Option("-o", "--out", metavar="FILE", help=help_text, show_default=False)
