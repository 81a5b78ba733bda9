"""Which commands exist; an error becomes two lines and a status."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, cast

import typer

from attn_cli import __version__
from attn_cli.commands.compare import compare
from attn_cli.commands.heatmap import heatmap
from attn_cli.commands.inspect import inspect
from attn_cli.commands.models import models
from attn_cli.commands.tokens import tokens
from attn_cli.console import World
from attn_cli.errors import AttnError

_USAGE = 2
_INTERRUPTED = 130
_CANNOT = 1

_UsageProblem = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])  # click's UsageError

app = typer.Typer(
    name="attn",
    help="Shows what attention computes, number by number: scores, mask, softmax weights, head by head.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    rich_markup_mode=None,  # Rich's help costs as much again as plain help
    pretty_exceptions_enable=False,
)
for command in (inspect, heatmap, compare, tokens, models):
    app.command()(command)


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
    command = typer.main.get_command(app)
    if "_ATTN_COMPLETE" in os.environ:  # the shell asks what could follow
        command.main(prog_name="attn")
    sys.exit(run(sys.argv[1:], World.real()))


def run(arguments: Sequence[str], world: World) -> int:
    """Run one command in `world`; returns the exit status of CONTRACT's table."""
    try:
        status = _run(arguments, world)
        world.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        _discard_output(world)
        return 0
    except KeyboardInterrupt:
        world.note("attn: interrupted")
        return _INTERRUPTED
    return status


def _run(arguments: Sequence[str], world: World) -> int:
    try:
        command = typer.main.get_command(app)
        with command.make_context("attn", list(arguments), obj=world) as context:
            command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    except AttnError as error:
        return _failed(world, error.problem, error.hint, error.status)
    except _UsageProblem as error:
        where = error.ctx.command_path if error.ctx is not None else "attn"
        return _failed(world, _sentence(error.format_message()), f"{where} --help", _USAGE)
    except MemoryError:
        return _failed(
            world, "memory is short", "a shorter text, fewer layers or heads, or --dtype float32", _CANNOT
        )
    except BrokenPipeError:
        raise
    except OSError as error:
        return _failed(world, str(error), "check the file, the directory and the space on the disk", _CANNOT)
    return 0


def _failed(world: World, problem: str, hint: str, status: int) -> int:
    if world.environment.get("ATTN_DEBUG"):
        traceback.print_exc(file=world.stderr)
    world.complain(problem, hint)
    return status


def _sentence(message: str) -> str:
    """Typer's message in the shape of ours: one line, no capital, no full stop."""
    line = " ".join(message.split()).rstrip(".")
    return line[:1].lower() + line[1:]


def _discard_output(world: World) -> None:
    """Let the interpreter flush into nothing when it ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, world.stdout.fileno())
    os.close(nothing)
