"""A brief run from the command line: a small model, a one-line remark, and resuming."""

import json
import signal
from pathlib import Path

import pytest

from attn_cli.commands.results.progress import Reporter
from tests.support.small_run import story
from tests.support.worlds import attn


def test_a_brief_run_says_what_it_trains_and_keeps_what_was_set(tmp_path: Path) -> None:
    text = story(tmp_path / "story.txt")
    options = ("--minutes", "0.02", "--layers", "1", "--watch")
    answer = attn("train", text, "-o", tmp_path / "m", *options)
    assert answer.status == 0, answer.err
    remark = (
        "brief run: 1 layer × 4 heads of 16 features, vocabulary of 300, context of 64 tokens; "
        "a run of more than 3 minutes trains a larger model"
    )
    assert remark in answer.err.splitlines()
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert (config["n_layer"], config["n_head"], config["n_embd"], config["n_positions"]) == (1, 4, 64, 64)


def test_an_interrupted_run_says_how_to_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = (
        "train",
        story(tmp_path / "story.txt"),
        "-o",
        tmp_path / "m",
        "--minutes",
        "0.02",
        "--layers",
        "1",
    )
    with monkeypatch.context() as patch:
        patch.setattr(Reporter, "step", lambda *_: signal.raise_signal(signal.SIGINT))
        *_, said, last = attn(*line).err.splitlines()
    assert said == f"{tmp_path / 'm'} can be continued: --resume with the same files and options"
    assert last == "attn: interrupted"
    assert attn(*line, "--resume").status == 0


def test_a_run_of_steps_is_not_brief(tmp_path: Path) -> None:
    text = story(tmp_path / "story.txt", sentences=600)
    options = ("--steps", "1", "--width", "16", "--layers", "1", "--dtype", "float32")
    answer = attn("train", text, "-o", tmp_path / "m", *options)
    assert answer.status == 0, answer.err
    assert "brief" not in answer.err
    assert json.loads((tmp_path / "m" / "config.json").read_text())["n_positions"] == 256
