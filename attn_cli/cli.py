"""The commands of `attn`, and the translation of errors into two lines and an exit status."""

import errno
import importlib
import inspect
import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand

from attn_cli import __version__
from attn_cli.arguments.parser import CarefulCommand, CarefulGroup
from attn_cli.console import World
from attn_cli.errors import AttnError, UsageError
from attn_cli.help.command import DocumentedCommand, option_entry, parse_docstring
from attn_cli.interrupts import is_raised
from attn_cli.safe_text import without_credentials

_USAGE = 2
_INTERRUPTED = 130
_CANNOT = 1

_UsageProblem = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])  # click's UsageError

_LOOK, _CHECK, _TRAIN = "Look at attention", "Check what goes in and what comes out", "Train"
_READ_ON = (
    "`attn COMMAND --help` explains each command with examples: `attn inspect --help` the steps, "
    "`attn heads --help` the metrics. README.md shows how to read the tables."
)
_SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")  # that typer completes for
_COMMANDS = {
    "inspect": ("inspect_heads", "Show tokens, scores and softmax weights, head by head.", _LOOK),
    "explain": ("explain_weight", "Explain one weight: every digit, from the input to the output.", _LOOK),
    "heads": ("list_heads", "Show all heads at a glance, and find heads by what they do.", _LOOK),
    "effects": ("show_head_effects", "Show what the model predicts, and what each head does to that.", _LOOK),
    "heatmap": ("draw_heads", "Draw one head, several heads, or all of them as a picture.", _LOOK),
    "report": ("write_page", "Write one interactive page with every weight of every head.", _LOOK),
    "compare": ("compare_heads", "Compare heads: side by side, by distance, by difference.", _LOOK),
    "survey": (
        "survey_heads",
        "Measure every head on many documents, and say how sure the means are.",
        _LOOK,
    ),
    "tokens": ("list_tokens", "Show the tokens of a text, and which ones the model expects.", _CHECK),
    "models": ("list_models", "List the models and devices that can be used here.", _CHECK),
    "verify": ("verify_model", "Check the numbers against Hugging Face's eager attention.", _CHECK),
    "train": ("train_model", "Train a small model of your own on text files.", _TRAIN),
}
"""For each command: the function in the module of the same name, a summary, and its heading in the help."""


class _Command(DocumentedCommand, CarefulCommand):
    """A command with a help page and our own usage errors."""


class _Commands(CarefulGroup):
    """The commands, each loaded only when called: listing them loads none."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  click passes it
        """The names of the commands, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ARG002  as above
        """The command with this name; None if there is none."""
        return _loaded(cmd_name) if cmd_name in _COMMANDS else None

    def get_help(self, ctx: Any) -> str:
        """A summary of each command, examples, and where to read more."""
        from attn_cli.help.layout import Entry, Page, Section  # needed only for --help

        paragraphs, examples = parse_docstring(self.help or "")
        commands = {
            heading: [Entry(name, about) for name, (_, about, use) in _COMMANDS.items() if use == heading]
            for heading in (_LOOK, _CHECK, _TRAIN)
        }
        page = Page(
            usage="attn COMMAND [OPTIONS] ...",
            paragraphs=paragraphs,
            sections=[
                *(Section(heading, entries) for heading, entries in commands.items()),
                Section("Options", [option_entry(option) for option in self.get_params(ctx)]),
            ],
            examples=examples,
            closing=_READ_ON,
        )
        return page.text(ctx.obj.width)


def _loaded(name: str) -> TyperCommand:
    """The command with this name and its options."""
    from attn_cli.commands.options.spread import spread

    module = importlib.import_module(f"attn_cli.commands.{name}")
    function = getattr(module, _COMMANDS[name][0])
    text = f"{inspect.getdoc(function)}\n\nExamples:{module.EXAMPLES}"
    callback, options = spread(function)
    return _Command(name, callback=callback, params=[*options], help=text, rich_markup_mode=None)


app = typer.Typer(
    name="attn",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # importing Rich takes as long as the rest of the help
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def attn(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """See what every attention head computes: tokens, scores, mask, softmax weights.

    Without -m, attn uses a small bundled model, so the first examples work offline.

    Examples:
        One head of the bundled model:
            attn inspect "the cat sat and the cat sat"
        All heads at a glance:
            attn heads "the cat sat and the cat sat"
        A picture of layer 5 of a model from the hub:
            attn heatmap "the cat sat" -m bert-base-cased -l 5 -o cat.png
    """
    if version:
        context.obj.say(f"attn {__version__}")
    elif context.invoked_subcommand is None:
        context.obj.say(context.get_help())
    else:
        return
    raise typer.Exit


def main() -> None:
    """Run `attn` as a process."""
    # The matrix products of a sentence are too small to parallelise: beside another busy process, two
    # OpenBLAS threads take ten times as long as one, waiting for each other (MiniLM, 20 tokens, 2 cores:
    # 0.28 s against 0.03 s). On idle cores, users can set the variable themselves.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # PyTorch's threads sleep while they wait for each other, instead of spinning: beside three busy programs
    # spinning took more than half of their time, and on idle cores it saves 2 %. OpenMP reads it when loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    world = World.real()  # lives as long as this frame, until the process ends
    if os.environ.get("_ATTN_COMPLETE"):  # shell completion
        sys.exit(_completed(world))
    sys.exit(run(sys.argv[1:], world))


def _completed(world: World) -> int:
    """Let typer complete a command line; returns the exit status."""
    try:
        _check_completion(world.environment["_ATTN_COMPLETE"])
        typer.main.get_command(app).main(prog_name="attn")
    except BrokenPipeError:
        world.drop_result()
    except Exception as error:  # noqa: BLE001  typer reads what the shell says without checking it
        is_request = isinstance(error, LookupError | ValueError)
        problem, hint, status = _explained(_bad_request("its words") if is_request else error, ())
        world.complain(problem, hint)
        return status
    return 0


def _check_completion(request: str) -> None:
    """Raise `UsageError` if no shell asks for completion in this way."""
    task, _, shell = request.partition("_")
    if task not in {"source", "complete"} or shell not in _SHELLS:
        raise _bad_request(f"_ATTN_COMPLETE={request}")


def _bad_request(what: str) -> UsageError:
    hint = f"_ATTN_COMPLETE=source_SHELL attn, with SHELL one of {', '.join(_SHELLS)}"
    return UsageError(f"the request for shell completion is not understood: {what}", hint)


def run(arguments: Sequence[str], world: World) -> int:
    """Run one command in `world`; returns the exit status listed in docs/files.md."""
    try:
        status = _run(arguments, world)
        return status or int(world.is_unheard)
    except KeyboardInterrupt:
        world.interrupted()
        return _INTERRUPTED


def _run(arguments: Sequence[str], world: World) -> int:
    began = time.monotonic()
    try:
        status = _called(arguments, world)
        _check_mapped(began)
        world.finish()
    except BrokenPipeError:  # the reader closed the pipe
        world.drop_result()
        with suppress(BrokenPipeError):  # a stream without a descriptor
            world.finish()
        return 0
    except Exception as error:  # users should not see a traceback for our bugs either
        if is_raised() and not isinstance(error, AttnError):
            raise KeyboardInterrupt from error
        problem, hint, status = _explained(_cause(error, began), arguments)
        if world.environment.get("ATTN_DEBUG"):
            with suppress(OSError):
                world.stderr.write(without_credentials(traceback.format_exc()))
        world.complain(problem, hint)
    return status


def _check_mapped(began: float) -> None:
    """Raise `AttnError` if a file that was mapped since `began` was changed since then."""
    if "attn_cli.mapped_files" in sys.modules:  # weights were read
        from attn_cli.mapped_files import check_unchanged, mapped_since

        check_unchanged(mapped_since(began))


def _cause(error: Exception, began: float) -> Exception:
    """The error, or what it follows from: a file that was changed while it was read."""
    try:
        _check_mapped(began)
    except AttnError as changed:
        return changed
    return error


def _explained(error: Exception, arguments: Sequence[str]) -> tuple[str, str, int]:
    """The problem, a hint, and the exit status."""
    if isinstance(error, AttnError):
        return error.problem, error.hint, error.status
    if isinstance(error, _UsageProblem):
        return _sentence(error.format_message()), f"{_asked(arguments)} --help", _USAGE
    if _is_short_of_memory(error):
        return _memory_ended(arguments)
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return "too many open files", "a higher limit: ulimit -n 256", _CANNOT
    if isinstance(error, OSError):
        return _sentence_of(error), "check the path, its permissions and the free disk space", _CANNOT
    problem = f"internal error in attn: {type(error).__name__}: {error}"
    return (
        without_credentials(" ".join(problem.split())),
        "please report it with the traceback that ATTN_DEBUG=1 shows",
        _CANNOT,
    )


def _memory_ended(arguments: Sequence[str]) -> tuple[str, str, int]:
    smaller = ", or --batch or --context" if "train" in arguments else ""
    return "not enough memory", f"a shorter text, fewer layers or heads{smaller}", _CANNOT


def _is_short_of_memory(error: Exception) -> bool:
    """Whether memory ran out, according to Python, the system, PyTorch or another library."""
    is_torchs = type(error).__name__ == "OutOfMemoryError"
    is_systems = isinstance(error, OSError) and error.errno == errno.ENOMEM
    signs = ("DefaultCPUAllocator", "bad_alloc", "failed to map segment", "annot allocate memory")
    return (
        isinstance(error, MemoryError) or is_torchs or is_systems or any(one in str(error) for one in signs)
    )


def _called(arguments: Sequence[str], world: World) -> int:
    command = typer.main.get_command(app)
    try:
        with (
            redirect_stdout(world.stdout),  # typer prints the help itself
            command.make_context("attn", _without_help(arguments), obj=world) as context,
        ):
            command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    return 0


def _without_help(arguments: Sequence[str]) -> list[str]:
    """The arguments, with `help COMMAND` rewritten as `COMMAND --help`."""
    first, *rest = arguments or ("",)
    if first != "help":
        return list(arguments)
    return [*[word for word in rest if word != "help"][:1], "--help"]


def _asked(arguments: Sequence[str]) -> str:
    """The command that was called, as far as it can be determined."""
    return next((f"attn {word}" for word in arguments if word in _COMMANDS), "attn")


def _sentence(message: str) -> str:
    """Typer's message in our style: one line, no capital, no full stop."""
    line = " ".join(message.split()).rstrip(".")
    return line[:1].lower() + line[1:]


def _sentence_of(error: OSError) -> str:
    """The file and the system's error message, as a sentence."""
    reason = (error.strerror or str(error)).lower()
    if error.filename is None:
        return f"the result cannot be written: {reason}"
    return f"{error.filename} cannot be used: {reason}"
