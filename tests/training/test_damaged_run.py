"""A damaged training directory: `--resume` ends with two lines."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from attn_cli.training import saved_state
from attn_cli.training.memory import least_memory
from attn_cli.training.saved_state import RunPosition
from tests.support.small_run import OPTIONS, prepared, recipe, story
from tests.support.worlds import Answer, attn, refused


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return story(tmp_path / "story.txt")


@pytest.fixture
def scratch(tmp_path: Path, text: Path) -> Path:
    """The directory of a run that was interrupted before its first step."""
    return prepared(tmp_path / "model", text).scratch


def resumed(scratch: Path) -> Answer:
    text = scratch.parent.parent / "story.txt"
    return attn("train", text, "-o", scratch.parent, *OPTIONS, "--steps", "6", "--resume")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def out_of_range(path: Path) -> None:
    np.full(5000, 999, np.uint16).tofile(path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "odd": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "out of range": out_of_range,
}


@pytest.mark.parametrize("how", DAMAGES)
def test_tokens_that_are_not_the_runs_are_refused(scratch: Path, how: str) -> None:
    path = scratch / "train.bin"
    DAMAGES[how](path)
    status, problem, hint = refused(resumed(scratch))
    assert (status, hint) == (1, "--force to start over")
    size = path.stat().st_size
    assert problem.startswith(f"{path} is damaged: its {size} bytes are not ids of the ")


@pytest.mark.parametrize("name", ["train.bin", "run.json", "tokenizer.json"])
def test_a_pipe_in_place_of_a_file_of_the_run_is_not_waited_for(scratch: Path, name: str) -> None:
    fifo(scratch / name)
    problem = f"{scratch / name} is not a regular file"
    assert refused(resumed(scratch)) == (1, problem, "replace it with a regular file")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": {"type": "BPE", "vocab": 3}}'])
def test_a_tokenizer_that_is_damaged_is_refused(scratch: Path, content: str) -> None:
    (scratch / "tokenizer.json").write_text(content)
    status, problem, hint = refused(resumed(scratch))
    assert (status, hint) == (1, "--force to start over")
    assert problem.startswith(f"{scratch / 'tokenizer.json'} is damaged: ")


def test_a_tokenizer_with_more_pieces_than_the_run_is_refused(scratch: Path) -> None:
    path = scratch / "tokenizer.json"
    values = json.loads(path.read_text())
    values["model"]["vocab"] |= {f"new{number}": 1000 + number for number in range(100)}
    path.write_text(json.dumps(values))
    status, problem, hint = refused(resumed(scratch))
    assert (status, hint) == (1, "--force to start over")
    assert problem.startswith(f"{path} is damaged: it has ")
    assert problem.endswith(" pieces, and the run at most 300")


def test_a_run_without_its_record_is_not_continued(scratch: Path) -> None:
    (scratch / "run.json").unlink()
    problem = f"{scratch.parent} has no unfinished run"
    assert refused(resumed(scratch)) == (1, problem, "leave out --resume to start one")


@pytest.mark.parametrize(
    "position",
    [
        {"step": -1},
        {"step": 2, "tokens": 1},
        {"step": 1.5},
        {"step": "1"},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"tokens": 2**63},
        {"step": True},
    ],
)
def test_a_position_that_no_run_has_is_refused(
    scratch: Path, text: Path, position: dict[str, object]
) -> None:
    run = prepared(scratch.parent.parent / "other", text)
    network = run.network("cpu")
    saved_state.save(scratch, network, network.optimizer(0.1), RunPosition())
    path = scratch / "state.safetensors"
    with safe_open(path, "pt") as file:
        mark = json.loads(file.metadata()["mark"])
    save_file(load_file(path), path, {"mark": json.dumps(mark | position)})
    status, problem, hint = refused(resumed(scratch))
    assert (status, hint) == (1, "--force to start over")
    assert problem.startswith(f"the state of the run cannot be read: {path}: its position is ")


@pytest.mark.parametrize(
    "options",
    [("--width", "8192", "--layers", "64"), ("--batch", "65536", "--context", "65536")],
)
def test_a_run_that_cannot_fit_is_refused_before_it_allocates(
    text: Path, tmp_path: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attn_cli.training.memory.free_bytes", lambda _: 8e9)
    status, problem, hint = refused(attn("train", text, "-o", tmp_path / "big", *options, "--steps", "1"))
    assert (status, hint) == (1, "a smaller --width, --vocabulary, --batch or --context")
    assert problem.startswith("not enough memory: this run needs at least ")
    assert not (tmp_path / "big").exists()


def test_the_usual_runs_need_little() -> None:
    assert least_memory(recipe()) < 1e6
