"""The options of `attn survey`: which documents, what of them, and who measures them."""

from pathlib import Path
from typing import Annotated

import typer

from attn_cli.commands import options
from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.survey.inputs.per import Per
from attn_cli.vocabulary import Metric, Theme


@record(frozen=True, kw_only=True)
class DocumentOptions:
    """Which documents are measured."""

    topic = Topic.READ
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            help="Files (.txt, .jsonl, .csv, .parquet) and directories of such files; if omitted or -, "
            "standard input, a document per line.",
            show_default=False,
        ),
    ] = None
    field: Annotated[
        str | None,
        typer.Option(
            "--field",
            metavar="NAME",
            help="Field of .jsonl, .csv and .parquet files with the text; with it standard input is JSON "
            "lines.",
            show_default="text, or the only one",
        ),
    ] = None
    per: Annotated[
        Per,
        typer.Option("--per", metavar="line|file", help="What is a document of a text file."),
    ] = Per.LINE
    window: Annotated[
        int | None,
        typer.Option(
            "--window",
            min=2,
            metavar="N",
            help="Cut documents into windows of at most N tokens, each read as a text of its own. By default "
            "a document is not cut, and left out if it is too long for the model.",
            show_default=False,
        ),
    ] = None
    stride: Annotated[
        int | None,
        typer.Option(
            "--stride",
            min=1,
            metavar="N",
            help="Tokens from the start of one window to that of the next.",
            show_default="the whole window",
        ),
    ] = None
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="End with an error at the first document that cannot be read or measured."
        ),
    ] = False


@record(frozen=True, kw_only=True)
class SummaryOptions:
    """What of the results is shown, and what is kept of single documents."""

    topic = Topic.SHOW
    metric: Annotated[
        list[Metric] | None,
        typer.Option(
            "--metric",
            metavar="METRIC",
            help="Metrics of the maps and the files, as listed below: one, or a list such as "
            "entropy,induction. By default the files have all of them, and the map shows entropy.",
            show_default=False,
        ),
    ] = None
    effects: Annotated[
        bool,
        typer.Option(
            "--effects",
            help="Measure what heads do to predictions too, as the metric direct: what each adds to the "
            "logit of the token that follows, less the vocabulary's mean. The map shows it.",
        ),
    ] = False
    top: Annotated[
        int,
        typer.Option("--top", min=0, metavar="N", help="Heads listed for each pattern; 0: all that show it."),
    ] = 3
    examples: Annotated[
        int,
        typer.Option(
            "--examples",
            min=0,
            max=100,
            metavar="N",
            help="Rows kept for each head and pattern: those that follow it most, each with the command that "
            "shows it again.",
        ),
    ] = 5
    digits: options.Digits = 2
    theme: options.ThemeOption = Theme.AUTO


@record(frozen=True, kw_only=True)
class RunOptions:
    """Who measures, and whether an interrupted survey goes on."""

    topic = Topic.COMPUTE
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            max=1024,
            metavar="N",
            help="Processes, each with the model and one thread; on a cluster, by default as many as it has "
            "room for. The results do not depend on it.",
            show_default="cores, or GPUs",
        ),
    ] = None
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="auto|ADDRESS",
            help="Workers on a Ray cluster instead: the one that this machine is part of, or the one at this "
            "address; local starts one here.",
            show_default=False,
        ),
    ] = None
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-worker",
            min=0.0,
            metavar="N",
            help="With --ray: GPUs of each worker, or a part of one, such as 0.5.",
            show_default="0",
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an interrupted survey of the same files and options, from what it left beside "
            "its output.",
        ),
    ] = False
