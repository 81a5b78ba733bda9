"""The options that commands share: one name, one meaning, one help text, in groups that go together.

A command takes groups; `spread` shows Typer each option of them as a parameter of its own.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from attn_cli.console import World
from attn_cli.record import record
from attn_cli.vocabulary import EMBEDDED, RANDOM, DType, Kind, Step, Theme


def _models(incomplete: str) -> list[str]:
    """The names that begin like this: in the local cache, and what is built in."""
    import os

    from attn_cli.models.hub.locate import cached_models

    names = [EMBEDDED, RANDOM, *(model.name for model in cached_models(os.environ))]
    return [name for name in names if name.startswith(incomplete)]


KindOption: TypeAlias = Annotated[
    Kind | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help=f"Which attention of the model: {', '.join(Kind)}.",
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
Digits: TypeAlias = Annotated[
    int, typer.Option("--digits", min=0, max=9, metavar="N", help="Decimal places.")
]
ThemeOption: TypeAlias = Annotated[
    Theme,
    typer.Option(
        "--theme",
        metavar="THEME",
        envvar="ATTN_THEME",
        help="The terminal's background: dark, light, or auto, which reads COLORFGBG.",
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("-q", "--quiet", help="No remarks on standard error.")]
Device: TypeAlias = Annotated[
    str,
    typer.Option("--device", metavar="DEVICE", envvar="ATTN_DEVICE", help="auto, cpu, cuda, cuda:N or mps."),
]


@record(frozen=True, slots=True)
class TextOptions:
    """The text that is read, and those beside it."""

    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="The text; - reads standard input.", show_default=False),
    ] = None
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="PATH", help="Read the text from a file.", show_default=False),
    ] = None
    pair: Annotated[
        str | None,
        typer.Option(
            "--pair", metavar="TEXT", help="A second text, for models that take one.", show_default=False
        ),
    ] = None
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="TEXT",
            help="The decoder's text, for encoder-decoder models.",
            show_default=False,
        ),
    ] = None


@record(frozen=True, slots=True)
class SourceOptions:
    """The model that reads it."""

    model: Annotated[
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
    ] = ""
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision",
            metavar="REV",
            help="Of a model of the hub: a branch, a tag or a commit.",
            show_default=False,
        ),
    ] = None
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Let a checkpoint run Python code of its own.")
    ] = False


@record(frozen=True, slots=True)
class HeadOptions:
    """Which heads are meant."""

    layer: Annotated[
        str | None,
        typer.Option("-l", "--layer", metavar="LAYERS", help="3, -1, 0,2,5, 4-7 or all.", show_default=False),
    ] = None
    head: Annotated[
        str | None,
        typer.Option("-H", "--head", metavar="HEADS", help="3, -1, 0,2,5, 4-7 or all.", show_default=False),
    ] = None
    heads: Annotated[
        list[str] | None,
        typer.Option(
            "--heads",
            metavar="L.H,L.H",
            help="Heads of single layers: 0.1,3.4. For random also how many heads it has: 8.",
            show_default=False,
        ),
    ] = None


@record(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """A text, a model, and which heads of it are meant."""

    text: TextOptions
    kind: KindOption = None
    source: SourceOptions
    chosen: HeadOptions


@record(frozen=True, slots=True)
class WindowOptions:
    """Which tokens are shown of each head."""

    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            metavar="TOKENS",
            help="Only these queries are computed, by position: 3, -1, 0,2,5, 4-7 or all.",
            show_default=False,
        ),
    ] = None
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="TOKENS",
            help="Only these keys are shown, by position; the weights stay those of the whole row.",
            show_default=False,
        ),
    ] = None


@record(frozen=True, slots=True)
class TableOptions:
    """How a table shows its numbers."""

    top: Annotated[
        int | None,
        typer.Option("--top", min=1, metavar="K", help="Only the K largest of each row.", show_default=False),
    ] = None
    digits: Digits = 2
    theme: ThemeOption = Theme.AUTO


@record(frozen=True, slots=True)
class PictureOptions:
    """How a picture is drawn."""

    cmap: Annotated[
        str | None,
        typer.Option("--cmap", metavar="NAME", help="A colour map of matplotlib.", show_default=False),
    ] = None
    dpi: Annotated[
        int, typer.Option("--dpi", min=10, max=2400, metavar="N", help="Pixels an inch, for .png.")
    ] = 150


@record(frozen=True, slots=True)
class BackendOptions:
    """What computes."""

    device: Device = "auto"
    dtype: Annotated[DType, typer.Option("--dtype", help="The number format.")] = DType.FLOAT32


@record(frozen=True, slots=True, kw_only=True)
class ComputeOptions:
    """What computes, with which mask; and what a random layer is like."""

    backend: BackendOptions
    causal: Annotated[
        bool | None,
        typer.Option(
            "--causal/--no-causal",
            help="Mask what comes later, or not; else as the model says.",
            show_default=False,
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", min=0, metavar="N", help="Of random: another seed, another layer.", show_default=False
        ),
    ] = None
    width: Annotated[
        int | None,
        typer.Option(
            "--width",
            min=1,
            max=65536,
            metavar="N",
            help="Of random: features a token, 64 unless said.",
            show_default=False,
        ),
    ] = None


def out(help_text: str) -> object:
    """`-o`, whose kinds of file differ from command to command."""
    return typer.Option("-o", "--out", metavar="FILE", help=help_text, show_default=False)


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer calls it: each option of its groups is a parameter, and --quiet is the last.

    The command itself takes the `World`, its groups and its own options.
    """
    _, *parameters = inspect.signature(command).parameters.values()

    def called(context: typer.Context, *, quiet: bool, **options: Any) -> None:
        world: World = context.obj
        world.is_quiet = quiet
        command(world, **{parameter.name: _value(parameter, options) for parameter in parameters})

    options = [option for parameter in parameters for option in _flattened(parameter)]
    whole = [_keyword("context", typer.Context), *options, _keyword("quiet", Quiet, default=False)]
    vars(called)["__signature__"] = inspect.Signature(whole)  # what `inspect` looks at first: PEP 362
    called.__annotations__, called.__doc__ = {}, command.__doc__
    return called


def _flattened(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """The parameter, or those of its group."""
    if _is_group(parameter):
        for option in _fields(parameter.annotation):
            yield from _flattened(option)
    else:
        yield _keyword(parameter.name, parameter.annotation, default=parameter.default)


def _value(parameter: inspect.Parameter, options: Mapping[str, Any]) -> Any:
    """What was given for the parameter, or for its group."""
    if not _is_group(parameter):
        return options[parameter.name]
    group = parameter.annotation
    return group(**{option.name: _value(option, options) for option in _fields(group)})


def _is_group(parameter: inspect.Parameter) -> bool:
    return is_dataclass(parameter.annotation)


def _fields(group: Any) -> Iterator[inspect.Parameter]:
    """The options of a group, or the groups in it."""
    return (_keyword(field.name, field.type, default=field.default) for field in fields(group))


def _keyword(name: str, annotation: Any, *, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
