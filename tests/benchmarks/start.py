"""Times `attn` against the script one would write instead: whole processes, alternating, in one run.

    python tests/benchmarks/start.py MODEL_DIRECTORY [--pairs 9]

Prints a table of medians: wall time, CPU time and peak memory of attn and of the baseline, and their ratio,
taken pair by pair. CPU time (user and system) is nearly the same on a busy machine; wall time is not.
MODEL_DIRECTORY is all-MiniLM-L6-v2 in Hugging Face layout for the figures in docs/long-texts.md.
"""

import argparse
import os
import platform
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

TEXT = "The animal didn't cross the street because it was too tired."
LAYER, HEAD = 5, 3

READ = """
    import torch
    from transformers import AutoModel, AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained({model!r})
    model = AutoModel.from_pretrained({model!r}, attn_implementation="eager").eval()
    inputs = tokenizer({text!r}, return_tensors="pt")
    with torch.no_grad():
        weights = model(**inputs, output_attentions=True).attentions[{layer}][0, {head}]
"""
PRINT = """
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    for token, row in zip(tokens, weights.tolist()):
        print(f"{{token:>10}}", *(f"{{value:.2f}}" for value in row))
"""
DRAW = """
    import matplotlib
    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    figure, axes = plt.subplots()
    image = axes.imshow(weights)
    axes.set_xticks(range(len(tokens)), tokens, rotation=90)
    axes.set_yticks(range(len(tokens)), tokens)
    figure.colorbar(image)
    figure.savefig({picture!r}, dpi=150)
"""
BARE = """
    import typer
    app = typer.Typer()
    @app.command()
    def hello(name: str) -> None:
        print(name)
    app()
"""
PLAIN = BARE.replace("typer.Typer()", "typer.Typer(rich_markup_mode=None)")
NOT_OF_USERS = {
    "OMP_NUM_THREADS",  # the tests keep to one
    "OPENBLAS_NUM_THREADS",
    "PYTHONDONTWRITEBYTECODE",  # then every start compiles a checkout that was never run without it
    "PYTHONUNBUFFERED",
}
"""Variables that a developer's shell may have and a user's does not."""
LIBRARIES = "import numpy, tokenizers, rich.console, typer"


@dataclass(frozen=True)
class Cost:
    """The cost of a process."""

    seconds: float
    cpu: float  # seconds of it, user and system, of all threads
    mebibytes: float


@dataclass(frozen=True)
class Race:
    """Two equivalent commands, and the maximum ratios for ours."""

    name: str
    ours: list[str]
    theirs: list[str]
    goal: float | None = None
    cpu_goal: float | None = None
    memory_goal: float | None = None


def main() -> None:
    """Run every comparison and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--pairs", type=int, default=9)
    given = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, {given.pairs} pairs")
    print(
        "| command | attn | baseline | ratio | goal | CPU, attn | CPU, baseline | ratio | goal "
        "| MiB, attn | MiB, baseline | ratio | goal |"
    )
    print(f"|---|{'--:|' * 12}")
    with tempfile.TemporaryDirectory() as directory:
        for race in races(given.model.resolve(), Path(directory)):
            print(line(race, given.pairs), flush=True)


def races(model: Path, directory: Path) -> list[Race]:
    """The commands, each with what it replaces."""
    attn = [sys.executable, "-m", "attn_cli"]
    chosen = ["-m", str(model), "--layer", str(LAYER), "--head", str(HEAD)]
    picture = str(directory / "ours.png")
    names = {
        "model": str(model),
        "text": TEXT,
        "layer": LAYER,
        "head": HEAD,
        "picture": str(directory / "theirs.png"),
    }
    inspect = [*attn, "inspect", TEXT, *chosen]
    return [
        Race("attn inspect", inspect, script((READ + PRINT).format(**names)), 0.048, memory_goal=0.25),
        Race("attn inspect (bare imports)", inspect, script(LIBRARIES), cpu_goal=1.15),
        Race("attn inspect TEXT", [*attn, "inspect", TEXT], script("import torch"), 0.13, 0.13),
        Race(
            "attn heatmap",
            [*attn, "heatmap", TEXT, *chosen, "-o", picture, "--force"],
            script((READ + DRAW).format(**names)),
            0.18,
        ),
        Race("attn --help", [*attn, "--help"], [*script(BARE), "--help"], 1.1, 1.1),
        Race("attn --help (plain Typer)", [*attn, "--help"], [*script(PLAIN), "--help"], 1.1, 1.1),
    ]


def script(source: str) -> list[str]:
    """The command that runs `source`."""
    return [sys.executable, "-c", textwrap.dedent(source)]


def line(race: Race, pairs: int) -> str:
    """One line of the table; the first pair warms the file cache and is not counted."""
    measured = [(cost(race.ours), cost(race.theirs)) for _ in range(pairs + 1)][1:]
    ours, theirs = zip(*measured, strict=True)
    wall = median(our.seconds / their.seconds for our, their in measured)
    cpu = median(our.cpu / their.cpu for our, their in measured)
    memory = median(our.mebibytes / their.mebibytes for our, their in measured)
    cells = [
        f"`{race.name}`",
        f"{median(one.seconds for one in ours):.2f} s",
        f"{median(one.seconds for one in theirs):.2f} s",
        f"**{wall:.3f}**",
        limit(race.goal),
        f"{median(one.cpu for one in ours):.3f} s",
        f"{median(one.cpu for one in theirs):.3f} s",
        f"**{cpu:.3f}**",
        limit(race.cpu_goal),
        f"{median(one.mebibytes for one in ours):.0f}",
        f"{median(one.mebibytes for one in theirs):.0f}",
        f"**{memory:.2f}**",
        limit(race.memory_goal),
    ]
    return f"| {' | '.join(cells)} |"


def limit(goal: float | None) -> str:
    """The cell of a goal, empty if there is none."""
    return "" if goal is None else f"≤ {goal}"


def cost(command: list[str]) -> Cost:
    """Wall time, CPU time and peak memory of one run; its output is discarded.

    `posix_spawn` and `wait4` give times and peak of this child alone, on Linux in KiB.

    Raises:
        RuntimeError: the command failed.
    """
    environment = {name: value for name, value in os.environ.items() if name not in NOT_OF_USERS}
    environment |= {"HF_HUB_OFFLINE": "1", "COLUMNS": "120"}
    with Path(os.devnull).open("w") as nothing:
        actions = [(os.POSIX_SPAWN_DUP2, nothing.fileno(), target) for target in (1, 2)]
        begun = time.perf_counter()
        child = os.posix_spawn(command[0], command, environment, file_actions=actions)
        _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - begun
    if status:
        raise RuntimeError(f"{command} ended with {status}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
