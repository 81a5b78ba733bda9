"""Runs the lines of `command_lines` with the attn of the current Python, all in one process.

    python -P line_runner.py LINES.json FOLDER

Each line gets FOLDER/NAME: it runs in `files/`, with `status`, `stdout` and `stderr` beside it. This script
imports nothing from tests/, which the other install may not have.
"""

import io
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from attn_cli.cli import run
from attn_cli.console import World


def main() -> None:
    """Run every line of the file given as the first argument."""
    lines = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    folder = Path(sys.argv[2]).resolve()
    plain = dict(os.environ)
    for number, line in enumerate(lines):
        os.environ.clear()
        os.environ.update(plain | line["environment"])
        run_line(line, folder / line["name"])
        if number % 100 == 0:
            print(f"{folder.name}: {number} of {len(lines)}", file=sys.__stderr__, flush=True)


def run_line(line: dict[str, Any], folder: Path) -> None:
    """Run one line, and save its results in `folder`."""
    directory = folder / "files"
    directory.mkdir(parents=True)
    for name, content in line["files"].items():
        (directory / name).write_text(content, "utf-8")
    os.chdir(directory)
    out, err = stream(), stream()
    sys.stdout, sys.stderr = out, err  # what a library says by itself belongs to the line too
    try:
        source = io.TextIOWrapper(io.BytesIO(line["stdin"].encode()), "utf-8")
        status = str(run(line["arguments"], World(source, out, err, os.environ)))
    except BaseException:  # noqa: BLE001  whatever it is, the next line shall run
        status = traceback.format_exc()
    finally:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    for name, made in (("stdout", out), ("stderr", err)):
        made.flush()
        (folder / name).write_bytes(made.buffer.getvalue())
    (folder / "status").write_text(status, "utf-8")  # last: it says that the line is complete


def stream() -> Any:
    """Standard output or error as in a pipe, kept in memory."""
    return io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", newline="")


if __name__ == "__main__":
    main()
