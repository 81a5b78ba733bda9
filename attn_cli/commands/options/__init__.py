"""The options that commands share, in groups: one name, one meaning, one help text for each.

A command takes groups; `spread.py` presents each of their options to click as a separate parameter. The topic
of a group is the heading of its options in the help.
"""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.safe_text import printable
from attn_cli.vocabulary import EMBEDDED, RANDOM, DType, Kind, Pool, ScaleKind, Step, Theme

MOST_FEATURES = 65536
"""Of the random layer, per token."""


def _models(incomplete: str) -> list[str]:
    """The built-in and cached models whose names start with `incomplete`, for shell completion."""
    import os

    from attn_cli.models.hub.locate import cached_models

    names = [EMBEDDED, RANDOM, *(model.name for model in cached_models(os.environ))]
    return [name for name in names if name.startswith(incomplete) and printable(name) == name]


KindOption: TypeAlias = Annotated[
    Kind | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help="Kind of attention: self, or in encoder-decoder models encoder, decoder or cross.",
        show_default=False,
        rich_help_panel=Topic.HEADS,
    ),
]
Steps: TypeAlias = Annotated[
    list[Step] | None,
    typer.Option(
        "-s",
        "--step",
        metavar="STEP",
        help="Steps of the computation, as listed below: one, or a list such as scores,weights.",
        show_default=False,
        rich_help_panel=Topic.SHOW,
    ),
]
Digits: TypeAlias = Annotated[
    int,
    typer.Option(
        "--digits",
        min=0,
        max=9,
        metavar="N",
        help="Decimal places, 0 to 9.",
        rich_help_panel=Topic.SHOW,
    ),
]
ThemeOption: TypeAlias = Annotated[
    Theme,
    typer.Option(
        "--theme",
        metavar="THEME",
        envvar="ATTN_THEME",
        help="Background that colours are chosen for: dark, light or paper, or auto: in a terminal as "
        "COLORFGBG says, in a picture paper.",
        rich_help_panel=Topic.SHOW,
    ),
]
Words: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--words",
        help="Show words instead of tokens: weight to a word is the sum over its tokens, from a word the "
        "mean over them.",
        rich_help_panel=Topic.SHOW,
    ),
]
Json: TypeAlias = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object and nothing else.", rich_help_panel=Topic.OUTPUT),
]
Force: TypeAlias = Annotated[
    bool, typer.Option("--force", help="Overwrite existing files.", rich_help_panel=Topic.OUTPUT)
]
Seed: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        metavar="N",
        help="Seed of the random layer (`-m random`), or of the tokens that --temperature draws.",
        show_default="0",
        rich_help_panel=Topic.MODEL,
    ),
]
Quiet: TypeAlias = Annotated[bool, typer.Option("-q", "--quiet", help="Print no remarks on standard error.")]
Device: TypeAlias = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        envvar="ATTN_DEVICE",
        help="Device: auto, cpu, cuda, cuda:N or mps.",
        rich_help_panel=Topic.COMPUTE,
    ),
]


@record(frozen=True, slots=True)
class TextOptions:
    """The text to read, with its second or target text."""

    topic = Topic.READ
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT",
            help="The text, in quotes; if omitted or -, it is read from standard input.",
            show_default=False,
        ),
    ] = None
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="PATH", help="Read the text from a file.", show_default=False),
    ] = None
    pair: Annotated[
        str | None,
        typer.Option(
            "--pair",
            metavar="TEXT",
            help="A second text, for models that read text pairs (such as BERT).",
            show_default=False,
        ),
    ] = None
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="TEXT",
            help="The decoder's text, for encoder-decoder models (T5, BART, Marian).",
            show_default=False,
        ),
    ] = None
    chat: Annotated[
        bool,
        typer.Option(
            "--chat",
            help="Read the text as a user's message in the model's chat template, up to where the model's "
            "answer begins.",
        ),
    ] = False
    system: Annotated[
        str | None,
        typer.Option(
            "--system",
            metavar="TEXT",
            help="With --chat: a system message before the user's.",
            show_default=False,
        ),
    ] = None


@record(frozen=True, slots=True)
class GenerationOptions:
    """How the model goes on with the text before it is read."""

    topic = Topic.READ
    generate: Annotated[
        int | None,
        typer.Option(
            "--generate",
            min=1,
            metavar="N",
            help="Let the model go on with the text by up to N tokens, the likeliest each time, and read the "
            "whole; an encoder-decoder model writes the decoder's text.",
            show_default=False,
        ),
    ] = None
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            metavar="T",
            help="With --generate: draw tokens, from the logits divided by T; --seed sets which.",
            show_default=False,
        ),
    ] = None
    top_p: Annotated[
        float | None,
        typer.Option(
            "--top-p",
            metavar="P",
            help="With --generate: draw from the fewest tokens that together have a probability of P.",
            show_default=False,
        ),
    ] = None

    @property
    def is_empty(self) -> bool:
        """Whether none of the options is given."""
        return self.generate is None and self.temperature is None and self.top_p is None


@record(frozen=True, slots=True)
class SourceOptions:
    """The model that reads the text."""

    topic = Topic.MODEL
    model: Annotated[
        str,
        typer.Option(
            "-m",
            "--model",
            metavar="MODEL",
            envvar="ATTN_MODEL",
            autocompletion=_models,
            help="A directory in Hugging Face layout, a model name (from the local cache, or else "
            f"downloaded from the hub), a .gguf file, {EMBEDDED} (bundled, the default) or {RANDOM} "
            "(a new layer with random weights).",
            show_default=False,
        ),
    ] = ""
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision",
            metavar="REV",
            help="Branch, tag or commit of a model from the hub.",
            show_default=False,
        ),
    ] = None
    trust_remote_code: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="Allow the model to run its own Python code."),
    ] = False
    tokenizer: Annotated[
        str | None,
        typer.Option(
            "--tokenizer",
            metavar="DIR",
            help="Tokenizer to use instead of the model's own: a directory, a tokenizer.json, a .gguf file "
            "or a model name.",
            show_default=False,
        ),
    ] = None
    no_special: Annotated[
        bool,
        typer.Option(
            "--no-special",
            help="Add no special tokens ([CLS], <s>) to the text; those written in it remain special.",
            rich_help_panel=Topic.READ,
        ),
    ] = False
    no_adapter: Annotated[
        bool,
        typer.Option("--no-adapter", help="Leave out a LoRA adapter, and read the base model."),
    ] = False


@record(frozen=True, slots=True)
class HeadOptions:
    """Which heads to show."""

    topic = Topic.HEADS
    layer: Annotated[
        str | None,
        typer.Option(
            "-l",
            "--layer",
            metavar="LAYERS",
            help="Layers, from 0: 3, -1 (the last), 0,2,5, 4-7, 4- or all.",
            show_default=False,
        ),
    ] = None
    head: Annotated[
        str | None,
        typer.Option(
            "-H",
            "--head",
            metavar="HEADS",
            help="Heads within the layers, from 0: 3, -1 (the last), 0,2,5, 4-7, 4- or all.",
            show_default=False,
        ),
    ] = None
    heads: Annotated[
        list[str] | None,
        typer.Option(
            "--heads",
            metavar="L.H,L.H",
            help="Heads by layer and head: 0.1,3.4.",
            show_default=False,
        ),
    ] = None


@record(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """A text, a model, and which of its heads to show."""

    text: TextOptions
    generation: GenerationOptions
    source: SourceOptions
    chosen: HeadOptions
    kind: KindOption = None


@record(frozen=True, slots=True)
class HidingOptions:
    """Which keys are out of sight."""

    topic = Topic.SHOW
    hide: Annotated[
        list[str] | None,
        typer.Option(
            "--hide",
            metavar="TOKENS",
            help="Hide these keys, selected as in --rows (first, special, a word): they keep their part in "
            "the softmax, and what they take of each row is shown in the column hidden. May be repeated.",
            show_default=False,
        ),
    ] = None
    renormalize: Annotated[
        bool,
        typer.Option(
            "--renormalize",
            help="Divide the weights of a row by what --hide leaves of it, so that they sum to 1.",
        ),
    ] = False


@record(frozen=True, slots=True, kw_only=True)
class WindowOptions:
    """Which tokens of each head to show."""

    topic = Topic.SHOW
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            metavar="TOKENS",
            help="Show only these queries: positions (3, -1, 0,2,5, 4-7, 4- or all), special, first, or "
            "words of the text: it, it@2 (only its second place), =7 (the text 7).",
            show_default=False,
        ),
    ] = None
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="TOKENS",
            help="Show only these keys, selected as in --rows; the softmax still covers the whole row.",
            show_default=False,
        ),
    ] = None
    pool: Annotated[
        Pool | None,
        typer.Option(
            "--pool",
            metavar="POOL",
            help="What is shown of each block of weights of a long text: max, the largest (default of "
            "heatmap), or mean (default of inspect and compare).",
            show_default=False,
        ),
    ] = None
    words: Words = False
    hiding: HidingOptions


@record(frozen=True, slots=True)
class ScaleOptions:
    """The scale of the colours of pictures and the shades of tables."""

    topic = Topic.SHOW
    scale: Annotated[
        ScaleKind,
        typer.Option(
            "--scale",
            metavar="SCALE",
            help="Scale of the weights' colours: linear, log, or auto: in pictures log for more than 256 "
            "keys and if one key takes most of the weight, else linear.",
        ),
    ] = ScaleKind.AUTO
    limits: Annotated[
        str | None,
        typer.Option(
            "--limits",
            metavar="LOW,HIGH",
            help="Range of the weights' colours (by default 0,1 or, on a log scale, 0.001,1); if other steps "
            "are shown without weights, of theirs.",
            show_default=False,
        ),
    ] = None


@record(frozen=True, slots=True)
class TextViewOptions:
    """The text itself, shaded, in place of a matrix."""

    topic = Topic.SHOW
    as_text: Annotated[
        bool,
        typer.Option(
            "--as-text",
            help="Show the text itself, each token shaded by the weight it gets from one query: the rows of "
            "--rows, else the last token that is part of the text.",
        ),
    ] = False
    mean: Annotated[
        bool,
        typer.Option("--mean", help="With --as-text: the mean of the chosen heads, or of all heads."),
    ] = False


@record(frozen=True, slots=True)
class TableOptions:
    """How tables show numbers."""

    topic = Topic.SHOW
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            min=1,
            metavar="K",
            help="Show only the K largest values of each row.",
            show_default=False,
        ),
    ] = None
    digits: Digits = 2
    theme: ThemeOption = Theme.AUTO


@record(frozen=True, slots=True)
class BackendOptions:
    """The device and the number format."""

    topic = Topic.COMPUTE
    device: Device = "auto"
    dtype: Annotated[
        DType,
        typer.Option("--dtype", metavar="DTYPE", help=f"Number format: {', '.join(DType)}."),
    ] = DType.FLOAT32


@record(frozen=True, slots=True, kw_only=True)
class ComputeOptions:
    """How to compute, with which mask, and the shape of a random layer."""

    topic = Topic.COMPUTE
    backend: BackendOptions
    causal: Annotated[
        bool | None,
        typer.Option(
            "--causal/--no-causal",
            help="Hide later tokens from each query, or do not; by default, as the model does.",
            show_default=False,
        ),
    ] = None
    seed: Seed = None
    features: Annotated[
        int | None,
        typer.Option(
            "--width",
            min=1,
            max=MOST_FEATURES,
            metavar="N",
            help="Features per token of the random layer (only with `-m random`).",
            show_default="64",
            rich_help_panel=Topic.MODEL,
        ),
    ] = None
    head_count: Annotated[
        int | None,
        typer.Option(
            "--head-count",
            min=1,
            max=1024,
            metavar="N",
            help="Number of heads of the random layer (only with `-m random`).",
            show_default="4",
            rich_help_panel=Topic.MODEL,
        ),
    ] = None


def out(help_text: str) -> object:
    """The option `-o`, whose file types depend on the command."""
    return typer.Option(
        "-o", "--out", metavar="FILE", help=help_text, show_default=False, rich_help_panel=Topic.OUTPUT
    )
