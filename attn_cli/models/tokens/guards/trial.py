"""Lets a tokenizer with odd regular expressions try a text first, in a process with limits.

The library holds Python's lock within a regular expression, so nothing else in a process would stop it. What
ends there in time ends here too.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from signal import Signals
from typing import Any

from attn_cli.errors import AttnError
from attn_cli.models.tokens.guards.hazards import HINT
from attn_cli.models.tokens.guards.limits import limit_process

SECONDS = 3
"""Processor time for a text, and the same again for each megabyte."""
PROBES = ("the cat sat on the mat", "t" * 500, " " * 500, "a1 " * 100, "日本\n" * 100)
"""Texts that a tokenizer is tried with before it is used."""
_MEMORY = 2 * 10**9  # bytes
_PATIENCE = 60  # seconds, on a busy machine or on Windows
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); "
    "from attn_cli.models.tokens.guards.trial import main; main()"
)


def try_tokenizer(content: str, texts: tuple[str, ...], subject: str) -> None:
    """Check that the tokenizer, the content of a `tokenizer.json`, splits the texts within the limits.

    Raises:
        AttnError: it does not; `subject` names it.
    """
    seconds = SECONDS + SECONDS * sum(map(len, texts)) // 10**6
    problem = _outcome({"content": content, "texts": texts, "seconds": seconds})
    if problem:
        raise AttnError(f"{subject} was stopped on trial: {problem}", HINT)


def _outcome(asked: dict[str, Any]) -> str:
    """What went wrong in the process; empty if nothing did."""
    places = [*sys.path, str(Path(__file__).parents[4])]
    try:
        done = subprocess.run(  # noqa: S603  this interpreter, with a program of ours
            [sys.executable, "-I", "-S", "-c", _START],
            input=f"{json.dumps(places)}\n{json.dumps(asked)}".encode("ascii"),
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            env=os.environ | {"TOKENIZERS_PARALLELISM": "false", "RUST_BACKTRACE": "0"},
        )
    except subprocess.TimeoutExpired:
        return _time(asked)
    except OSError as error:
        return f"it cannot be run: {error}"
    if done.returncode == 0:
        return str(json.loads(done.stdout))
    if done.returncode < 0:
        signal = Signals(-done.returncode).name
        is_time = signal in {"SIGXCPU", "SIGKILL"}
        return _time(asked) if is_time else f"it needs too much memory, or fails ({signal})"
    return "it fails"


def _time(asked: dict[str, Any]) -> str:
    return f"it runs for more than {asked['seconds']} seconds"


def main() -> None:
    """Try the tokenizer on standard input; write what went wrong, or nothing, as JSON."""
    import tokenizers  # before files can no longer be opened

    asked = json.load(sys.stdin)
    limit_process(asked["seconds"] + 1, _MEMORY, opens_files=True)
    problem = ""
    try:
        inner = tokenizers.Tokenizer.from_str(asked["content"])
        inner.no_padding()
        inner.no_truncation()
        for text in asked["texts"]:
            inner.encode(text)
    except MemoryError:
        problem = f"it needs more than {_MEMORY // 10**9} GB of memory"
    except BaseException as error:  # noqa: BLE001  a panic of Rust is no Exception
        problem = " ".join(str(error).split())[:200]
    sys.stdout.write(json.dumps(problem))
