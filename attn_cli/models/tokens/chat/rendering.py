"""Lets a chat template write messages as one text, in a process with limits."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from signal import Signals
from typing import Any

from attn_cli.errors import AttnError
from attn_cli.models.tokens.chat.template import ChatTemplate, Message, WrittenChat

SECONDS = 5
"""Processor time of a template; those of the hub take a thousandth of it."""
LONGEST = 1_000_000
"""Characters that a template may write, besides four times its messages."""
_MEMORY = 10**9  # bytes
_PATIENCE = 60  # seconds until the process is stopped, on a busy machine or on Windows
_TIMES = 4  # a template may repeat a message
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); "
    "from attn_cli.models.tokens.chat.sandbox import main; main()"
)
_REPAIR = "download the model again, or leave out --chat"
_DISTRUST = "a model whose authors you trust, or leave out --chat"
_STOPPED = {
    "memory": f"it needs more than {_MEMORY // 10**9} GB of memory",
    "time": f"it runs for more than {SECONDS} seconds",
}


def write_chat(template: ChatTemplate, messages: Sequence[Message], owner: str) -> WrittenChat:
    """The messages as one text, up to where the model's answer begins.

    `owner` is the model's name, for errors.

    Raises:
        AttnError: the template is not valid, refuses the messages, or tries what it may not.
    """
    longest = LONGEST + _TIMES * sum(len(message["content"]) for message in messages)
    answer = _run(
        {
            "source": template.source,
            "variables": template.variables,
            "messages": messages,
            "longest": longest,
            "seconds": SECONDS,
            "memory": _MEMORY,
        },
        owner,
    )
    if "failure" in answer:
        raise _failed(answer, owner, longest, has_system=len(messages) > 1)
    text = str(answer["text"])
    if not text.strip():
        raise AttnError(f"the chat template of {owner} writes no text", _REPAIR)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        problem = f"character {error.start} is {text[error.start]!a}"
        raise AttnError(
            f"the chat template of {owner} writes a text that is not UTF-8: {problem}", _REPAIR
        ) from error
    return WrittenChat(template, text, answer["messages"])


def _run(asked: dict[str, Any], owner: str) -> dict[str, Any]:
    """The answer of the sandbox's process."""
    places = [*sys.path, str(Path(__file__).parents[4])]  # that of this package, wherever it came from
    question = f"{json.dumps(places)}\n{json.dumps(asked)}"
    try:
        done = subprocess.run(  # noqa: S603  this interpreter, with a program of ours
            [sys.executable, "-I", "-S", "-c", _START],
            input=question.encode("ascii"),
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failure": "time"}
    except OSError as error:
        raise AttnError(f"the chat template of {owner} cannot be run: {error}", _REPAIR) from error
    if done.returncode == 0:
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer
    if done.returncode < 0:
        signal = Signals(-done.returncode).name
        return {"failure": "time" if signal in {"SIGXCPU", "SIGKILL"} else "runtime", "problem": signal}
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
    return {"failure": "runtime", "problem": lines[-1]}


def _failed(answer: dict[str, Any], owner: str, longest: int, *, has_system: bool) -> AttnError:
    """The error for what became of the template."""
    failure, problem = answer["failure"], _sentence(str(answer.get("problem", "")))
    subject = f"the chat template of {owner}"
    if failure == "forbidden":
        return AttnError(f"{subject} tries what its sandbox forbids: {problem}", _DISTRUST)
    if failure == "refused":
        hint = "leave out --system" if has_system else "leave out --chat"
        return AttnError(f"{subject} refuses the messages: {problem}", hint)
    if failure == "syntax":
        return AttnError(f"{subject} is not valid: {problem}", _REPAIR)
    stopped = _STOPPED | {"length": f"it writes more than {longest:,} characters"}
    if failure in stopped:
        return AttnError(f"{subject} was stopped: {stopped[failure]}", _DISTRUST)
    return AttnError(f"{subject} fails: {problem}", _REPAIR)


def _sentence(problem: str) -> str:
    """The problem in one line, without a full stop."""
    return " ".join(problem.split())[:300].removesuffix(".")
