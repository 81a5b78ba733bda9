"""The commands of `attn`, and how an error becomes two lines and an exit status."""

import errno
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from attn_cli import __version__
from attn_cli.console import World
from attn_cli.errors import AttnError

_USAGE = 2
_INTERRUPTED = 130
_CANNOT = 1

_UsageProblem = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])  # click's UsageError

_COMMANDS = {
    "inspect": ("inspect_heads", "Show tokens, scores and softmax weights, head by head."),
    "heatmap": ("draw_heads", "Draw heads as pictures: one, several, or all of a model."),
    "heads": ("list_heads", "Show every head at a glance, on a text of any length."),
    "compare": ("compare_heads", "Compare heads: side by side, by distance, by difference."),
    "tokens": ("list_tokens", "Show the tokens of a text: ids, pieces, text and offsets."),
    "verify": ("verify_model", "Compare layer by layer with Hugging Face's eager attention."),
    "models": ("list_models", "List what can be loaded here, and what storybook's heads do."),
    "train": ("train_model", "Train a small model of your own on text files."),
}
"""Each command: the function in the module of its name, and what the help says of it."""


class _Commands(TyperGroup):
    """The commands, each loaded when it is called: a list of them needs none."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  click asks with it
        """Their names, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ARG002  as above
        """The command of that name; None where there is none."""
        return _loaded(cmd_name) if cmd_name in _COMMANDS else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  as above
        """Write what each command is for."""
        room = formatter.width - 6 - max(map(len, _COMMANDS))
        stubs = {name: TyperCommand(name, help=sentence) for name, (_, sentence) in _COMMANDS.items()}
        with formatter.section("Commands"):
            formatter.write_dl([(name, stub.get_short_help_str(room)) for name, stub in stubs.items()])


def _loaded(name: str) -> TyperCommand:
    """The command of that name, with its options."""
    from attn_cli.commands.options import spread

    function = getattr(importlib.import_module(f"attn_cli.commands.{name}"), _COMMANDS[name][0])
    single = typer.Typer(rich_markup_mode=None, add_completion=False)
    single.command(name)(spread(function))
    return cast("TyperCommand", typer.main.get_command(single))


app = typer.Typer(
    name="attn",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    rich_markup_mode=None,  # Rich's help costs as much again as plain help
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def attn(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Shows what attention computes, number by number: scores, mask, softmax weights, head by head."""
    if version:
        context.obj.say(f"attn {__version__}")
    elif context.invoked_subcommand is None:
        context.obj.say(context.get_help())
    else:
        return
    raise typer.Exit


def main() -> None:
    """Run `attn` as a process."""
    # A sentence's products are too small to share: beside another busy process two threads of
    # OpenBLAS wait for each other ten times as long as one computes (MiniLM, 20 tokens, 2 cores:
    # 0.28 s against 0.03 s). Whoever has the cores to themselves sets the variable.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # PyTorch's threads wait for each other asleep, not in a loop: beside three busy programs the loop took
    # more than half of their time, on idle cores it saves 2 %. OpenMP reads it when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if "_ATTN_COMPLETE" in os.environ:  # the shell asks what could follow
        typer.main.get_command(app).main(prog_name="attn")
    sys.exit(run(sys.argv[1:], World.real()))


def run(arguments: Sequence[str], world: World) -> int:
    """Run one command in `world`; returns the exit status of CONTRACT's table."""
    try:
        return _run(arguments, world)
    except BrokenPipeError:  # the reader has seen enough
        _discard_output(world)
        with suppress(BrokenPipeError):
            world.finish()
        return 0
    except KeyboardInterrupt:
        world.interrupted()
        return _INTERRUPTED


def _run(arguments: Sequence[str], world: World) -> int:
    try:
        status = _called(arguments, world)
        world.finish()
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  a mistake of ours is no traceback for a user either
        problem, hint, status = _explained(error, arguments)
        if world.environment.get("ATTN_DEBUG"):
            traceback.print_exc(file=world.stderr)
        world.complain(problem, hint)
    return status


def _explained(error: Exception, arguments: Sequence[str]) -> tuple[str, str, int]:
    """What is wrong, what to try, and the status."""
    if isinstance(error, AttnError):
        return error.problem, error.hint, error.status
    if isinstance(error, _UsageProblem):
        problem = _sentence(error.format_message())
        hint = f'{_asked(arguments)} "The cat sat": quotes around the text' if "extra arg" in problem else ""
        return problem, hint or f"{_asked(arguments)} --help", _USAGE
    if _is_short_of_memory(error):
        smaller = ", or --batch or --context" if "train" in arguments else ""
        return "memory is short", f"a shorter text, fewer layers or heads{smaller}", _CANNOT
    if isinstance(error, OSError):
        return _sentence_of(error), "check the file, the directory and the space on the disk", _CANNOT
    problem = f"this is a mistake in attn: {type(error).__name__}: {error}"
    return " ".join(problem.split()), "ATTN_DEBUG=1 shows where it is; please report it", _CANNOT


def _is_short_of_memory(error: Exception) -> bool:
    """Whether it says so: Python's error and the system's, torch's, and those of a library that is loaded."""
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
            redirect_stdout(world.stdout),  # --help prints by itself
            command.make_context("attn", list(arguments), obj=world) as context,
        ):
            command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    return 0


def _asked(arguments: Sequence[str]) -> str:
    """The command that was called, as far as it can be told."""
    return next((f"attn {word}" for word in arguments if word in _COMMANDS), "attn")


def _sentence(message: str) -> str:
    """Typer's message in the shape of ours: one line, no capital, no full stop."""
    line = " ".join(message.split()).rstrip(".").replace("a valid int range", "a whole number")
    return line[:1].lower() + line[1:]


def _sentence_of(error: OSError) -> str:
    """What the system says, and of what."""
    reason = (error.strerror or str(error)).lower()
    if error.filename is None:
        return f"the result cannot be written: {reason}"
    return f"{error.filename} cannot be used: {reason}"


def _discard_output(world: World) -> None:
    """Let the interpreter flush into nothing when it ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, world.stdout.fileno())
    os.close(nothing)
