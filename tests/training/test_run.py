"""`attn train`: training a model, with and without interruptions."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from attn_cli.errors import AttnError
from attn_cli.training import loop, saved_state
from attn_cli.training import run as runs
from attn_cli.training.loop import Progress
from attn_cli.training.publishing import finish
from attn_cli.training.recipe import TrainingRequest
from attn_cli.vocabulary import DType
from tests.support.small_run import OPTIONS, network, prepared, recipe, story
from tests.support.worlds import Answer, attn, refused

FILES = [
    *("README.md", "attn.json", "config.json"),
    *("model.safetensors", "tokenizer.json", "tokenizer_config.json"),
]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return story(tmp_path / "story.txt")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of thirty steps."""
    directory = tmp_path_factory.mktemp("trained")
    answer = train(story(directory / "story.txt"), directory / "model", "--steps", "30")
    assert answer.status == 0, answer.err
    return directory / "model"


def train(text: Path, directory: Path, *options: str) -> Answer:
    return attn("train", text, "-o", directory, *OPTIONS, *options)


def advanced(run: runs.Run) -> dict[str, torch.Tensor]:
    """The weights after the run."""
    ours = run.network("cpu")
    runs.advance(run, ours, lambda _: None)
    return {name: tensor.detach().clone() for name, tensor in ours.parameters.tensors.items()}


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_run_leaves_a_model_and_nothing_else(trained: Path) -> None:
    assert sorted(path.name for path in trained.iterdir()) == FILES


def test_the_loss_falls_and_beats_a_fresh_model(text: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    run = prepared(tmp_path / "model", text, steps=60)
    runs.advance(run, run.network("cpu"), lambda progress: losses.append(progress.loss))
    assert len(losses) == 60
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.5


def test_inspect_reads_what_train_wrote(trained: Path) -> None:
    found = attn("inspect", "The cat sat on the mat.", "-m", trained, "--heads", "1.1", "--json").document
    assert len(found["model"].pop("checksum")) == 64
    assert found["model"] | {"name": ""} == {
        "name": "",
        "type": "gpt2",
        "layers": 2,
        "heads": 2,
        "kv_heads": 2,
        "head_size": 8,
        "width": 16,
        "revision": None,
    }
    assert found["tokens"][0]["piece"] == "<s>"
    assert found["tokens"][0]["special"]


def test_transformers_loads_it_and_its_attention_is_ours(trained: Path) -> None:
    text = "The dog looked at the cat."
    tokenizer = transformers.AutoTokenizer.from_pretrained(trained)
    model = transformers.AutoModelForCausalLM.from_pretrained(trained, attn_implementation="eager")
    inputs = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs, output_attentions=True).attentions
    found = attn("inspect", text, "-m", trained, "-l", "all", "-s", "weights", "--json").document
    assert [token["id"] for token in found["tokens"]] == inputs["input_ids"][0].tolist()
    assert tokenizer.decode(inputs["input_ids"][0], skip_special_tokens=True) == text
    for entry in found["attention"]:
        theirs = expected[entry["layer"]][0, entry["head"]].numpy()
        np.testing.assert_allclose(entry["steps"]["weights"], theirs, atol=1e-5)


def test_weights_stored_in_half_precision_are_evaluated_so(text: Path, tmp_path: Path) -> None:
    for store in ("float32", "float16"):
        assert train(text, tmp_path / store, "--steps", "5", "--store", store).status == 0
    whole, half = (load_file(tmp_path / name / "model.safetensors") for name in ("float32", "float16"))
    for name, tensor in whole.items():
        assert half[name].dtype is torch.float16
        assert torch.equal(tensor.half(), half[name])
    assert json.loads((tmp_path / "float16" / "config.json").read_text())["dtype"] == "float32"


def test_the_card_says_what_the_model_was_trained_on(trained: Path) -> None:
    card, measured = (
        (trained / "README.md").read_text("utf-8"),
        json.loads((trained / "attn.json").read_text()),
    )
    text = trained.parent / "story.txt"
    assert f"{len(text.read_text('utf-8')):,}" in card
    assert "30 steps, 1,920 tokens, in " in card
    assert f"| this model | {measured['bits_per_character']['model']:.3f} |" in card
    assert [(head["layer"], head["head"]) for head in measured["heads"]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert card.count("\n| 1.") == 2
    assert "except at the start, each is predicted from at least half a context" in card
    assert "are measured on random tokens that occur twice" in card


def test_what_train_prints_is_what_the_card_says(text: Path, tmp_path: Path) -> None:
    answer = train(text, tmp_path / "model", "--steps", "5", "--watch")
    measured = json.loads((tmp_path / "model" / "attn.json").read_text())
    for guess in ("model", "bigram", "gzip"):
        assert f" {measured['bits_per_character'][guess]:.3f}\n" in answer.out
    lines = answer.err.splitlines()
    assert lines[0] == "training the tokenizer"
    assert lines[1] == "tokenizing story.txt"
    assert sum(line.startswith("100% · ") and "previous-token head" in line for line in lines) == 1
    assert lines[-1] == f'to inspect it: attn inspect "..." -m {tmp_path / "model"}'


def test_json_is_what_the_file_holds(text: Path, tmp_path: Path) -> None:
    answer = train(text, tmp_path / "model", "--steps", "2", "--json")
    assert answer.document == json.loads((tmp_path / "model" / "attn.json").read_text())


@pytest.mark.slow
def test_minutes_end_a_run(text: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    run = prepared(tmp_path / "model", text, steps=None, minutes=0.02)
    runs.advance(run, run.network("cpu"), seen.append)
    assert 1.2 <= seen[-1].mark.seconds < 20  # seconds: the last step began before the end
    assert seen[-1].share == 1.0


def test_held_out_text_is_its_own_file_or_the_end_of_the_text(text: Path, tmp_path: Path) -> None:
    split = prepared(tmp_path / "split", text)
    assert split.held_out.size == (split.train.size + split.held_out.size) // 20
    other = story(tmp_path / "other.txt", sentences=9, seed=1)
    order = TrainingRequest((text,), other, recipe())
    apart = runs.begin(tmp_path / "apart", order, lambda _: None, force=False)
    assert apart.tokenizer.decode(apart.held_out.tolist()) == other.read_text("utf-8")
    assert apart.train.size == split.train.size + split.held_out.size


def interrupted_after(step: int) -> Any:
    """A callback that presses Ctrl-C after the step."""

    def seen(progress: Progress) -> None:
        if progress.mark.step == step:
            signal.raise_signal(signal.SIGINT)

    return seen


def test_ctrl_c_saves_the_state_and_resuming_gives_the_same_end(text: Path, tmp_path: Path) -> None:
    expected = advanced(prepared(tmp_path / "whole", text))
    run = prepared(tmp_path / "model", text)
    with pytest.raises(KeyboardInterrupt):
        runs.advance(run, run.network("cpu"), interrupted_after(4))
    again = runs.resume(tmp_path / "model", run.order, lambda _: None)
    ours = again.network("cpu")
    seen: list[Progress] = []
    runs.advance(again, ours, seen.append)
    assert [progress.mark.step for progress in seen] == [5, 6]
    assert_same({name: tensor.detach() for name, tensor in ours.parameters.tensors.items()}, expected)


def test_a_second_ctrl_c_does_not_wait() -> None:
    with loop._politely_interrupted() as is_interrupted:  # noqa: SLF001
        signal.raise_signal(signal.SIGINT)
        assert is_interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


_KILLED = """
import os, signal, sys
from pathlib import Path
from attn_cli.training import loop, saved_state
moment, count = sys.argv[1], int(sys.argv[2])
save, replace, saved = saved_state.save, Path.replace, []
def dying_save(*given):
    saved.append(given)
    if moment == "before" and len(saved) == count:
        os.kill(os.getpid(), signal.SIGKILL)
    save(*given)
    if moment == "after" and len(saved) == count:
        os.kill(os.getpid(), signal.SIGKILL)
def dying_replace(path, target):
    if moment == "within" and Path(target).name == "state.safetensors" and len(saved) == count:
        os.kill(os.getpid(), signal.SIGKILL)
    if moment == "publishing" and Path(target).name == "tokenizer.json" and saved:
        os.kill(os.getpid(), signal.SIGKILL)
    if moment == "preparing" and Path(target).name == "train.bin":
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(path, target)
loop._SAVE_EVERY, saved_state.save, Path.replace = 0.0, dying_save, dying_replace
from attn_cli.cli import run
from attn_cli.console import World
sys.exit(run(sys.argv[3:], World.real()))
"""


KILLED_OPTIONS = ("--steps", "40", "--repeats", "0.5", "--rate", "0.01")


@pytest.fixture(scope="module")
def whole(trained: Path) -> Path:
    """A model of forty steps without an interruption."""
    assert train(trained.parent / "story.txt", trained.parent / "whole", *KILLED_OPTIONS).status == 0
    return trained.parent / "whole"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "count"),
    [("preparing", 0), ("before", 7), ("within", 20), ("after", 26), ("after", 33), ("publishing", 0)],
)
def test_a_run_that_is_killed_at_any_moment_ends_with_the_same_weights(
    moment: str, count: int, trained: Path, whole: Path, tmp_path: Path
) -> None:
    text, options = trained.parent / "story.txt", KILLED_OPTIONS
    line = ["train", str(text), "-o", str(tmp_path / "killed"), *OPTIONS, *options]
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, moment, str(count), *line], stderr=subprocess.PIPE, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "killed" / "config.json").exists()
    answer = train(text, tmp_path / "killed", *options, "--resume")
    assert answer.status == 0, answer.err
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == FILES
    assert_same(*(load_file(each / "model.safetensors") for each in (tmp_path / "killed", whole)))


def test_the_state_is_what_was_saved(tmp_path: Path) -> None:
    ours, other = network(0), network(1)
    optimizer = ours.optimizer(0.1)
    ours.losses(torch.tensor([[0, 1, 2]])).mean().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    saved_state.save(tmp_path, ours, optimizer, saved_state.RunPosition(7, 1.5, 224))
    restored = other.optimizer(0.1)
    assert saved_state.load(tmp_path, other, restored) == saved_state.RunPosition(7, 1.5, 224)
    for name, tensor in ours.parameters.tensors.items():
        theirs = other.parameters.tensors[name]
        assert torch.equal(tensor, theirs)
        if name in ours.learning:
            for moment in ("exp_avg", "exp_avg_sq"):
                assert torch.equal(optimizer.state[tensor][moment], restored.state[theirs][moment])
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]


LONGER = "a longer text, or a smaller --context or --batch"


def test_a_text_that_cannot_be_used_is_reported(tmp_path: Path) -> None:
    short, blank, bad = (tmp_path / name for name in ("short.txt", "blank.txt", "bad.txt"))
    short.write_text("The cat sat.")
    blank.write_text("\n")
    bad.write_bytes(b"caf\xe9")
    problem = "the text is too short: it has 5 tokens, and a step needs 2 rows of 32"
    assert refused(train(short, tmp_path / "m", "--steps", "1", "--quiet")) == (1, problem, LONGER)
    refusal = refused(train(blank, tmp_path / "m", "--steps", "1"))
    assert refusal == (1, f"{blank} contains no words", "choose a text file with words")
    hint = "convert it, for example: iconv -f latin1 -t utf-8"
    refusal = refused(train(bad, tmp_path / "m", "--steps", "1"))
    assert refusal == (1, f"{bad} is not UTF-8: byte 3 is 0xe9", hint)
    gone = tmp_path / "gone.txt"
    assert refused(train(gone, tmp_path / "m")) == (1, f"{gone} does not exist", "check the path")
    assert refused(train(tmp_path, tmp_path / "m"))[1] == f"{tmp_path} cannot be read: Is a directory"
    assert not (tmp_path / "m").exists()


def test_an_existing_directory_is_kept_without_force(text: Path, tmp_path: Path) -> None:
    mine = tmp_path / "model" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    problem, hint = (
        f"{mine.parent} already exists",
        "another name, or --force to write a model into it",
    )
    assert refused(train(text, mine.parent, "--steps", "1")) == (1, problem, hint)
    assert sorted(mine.parent.iterdir()) == [mine]
    assert train(text, mine.parent, "--steps", "1", "--force").status == 0
    assert sorted(path.name for path in mine.parent.iterdir()) == sorted([*FILES, "mine.txt"])
    assert mine.read_text() == "mine"


def test_a_directory_that_cannot_be_created_is_reported(text: Path, tmp_path: Path) -> None:
    answer = refused(train(text, text, "--steps", "1"))
    assert answer == (1, f"not a directory: {text}", "another name")
    answer = refused(train(text, text / "model", "--steps", "1"))
    assert answer == (1, f"{text / 'model'} cannot be written: not a directory", "another directory")
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    if os.access(locked, os.W_OK):  # root may write anywhere: use a path that cannot exist
        locked = Path("/proc")
    assert refused(train(text, locked / "model", "--steps", "1"))[0] == 1


def test_a_run_is_resumed_only_with_the_same_settings(text: Path, tmp_path: Path) -> None:
    directory = tmp_path / "model"
    run = prepared(directory, text)
    with pytest.raises(KeyboardInterrupt):
        runs.advance(run, run.network("cpu"), interrupted_after(1))
    unfinished = (
        1,
        f"{directory} has an unfinished run",
        "--resume to continue it, --force to start over",
    )
    assert refused(train(text, directory, "--steps", "6")) == unfinished
    hint = "the same options, or --force to start over"
    problem = f"the run in {directory} was started with steps 6, not 7"
    assert refused(train(text, directory, "--steps", "7", "--resume")) == (2, problem, hint)
    text.write_text("Another story. " * 200)
    problem = f"the run in {directory} was started with a different text"
    answer = refused(train(text, directory, "--steps", "6", "--resume"))
    assert answer == (2, problem, "the same one, or --force to start over")


def test_a_short_run_of_an_older_version_does_not_become_brief(text: Path, tmp_path: Path) -> None:
    """Older versions knew no brief runs: their short ones have the usual rate and the usual repeats."""
    run = prepared(tmp_path / "model", text, steps=None, minutes=0.01)
    record = json.loads((run.scratch / runs.RECORD).read_text())
    del record["recipe"]["is_brief"]
    (run.scratch / runs.RECORD).write_text(json.dumps(record))
    answer = train(text, tmp_path / "model", "--minutes", "0.01", "--resume")
    assert (answer.status, "brief run" in answer.err) == (0, False), answer.err


def test_a_run_started_with_heads_can_be_resumed(text: Path, tmp_path: Path) -> None:
    """The number of heads was once given by --heads."""
    old = [option.replace("--head-count", "--heads") for option in OPTIONS]
    remark = "--heads selects heads in other commands; heads per layer: --head-count 2"
    for directory, options in ((tmp_path / "one", old), (tmp_path / "two", OPTIONS)):
        run = prepared(directory, text)
        with pytest.raises(KeyboardInterrupt):
            runs.advance(run, run.network("cpu"), interrupted_after(1))
        answer = attn("train", text, "-o", directory, *options, "--steps", "6", "--resume")
        assert answer.status == 0, answer.err
        assert (remark in answer.err.splitlines()) == (options is old)
    found, other = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(torch.equal(found[name], other[name]) for name in other)


def test_a_missing_run_cannot_be_resumed(text: Path, tmp_path: Path) -> None:
    answer = refused(train(text, tmp_path / "model", "--steps", "1", "--resume"))
    assert answer == (1, f"{tmp_path / 'model'} has no unfinished run", "leave out --resume to start one")
    assert not (tmp_path / "model").exists()


def test_a_damaged_state_is_reported(text: Path, tmp_path: Path) -> None:
    prepared(tmp_path / "model", text)
    path = tmp_path / "model" / "attn-training" / "state.safetensors"
    path.write_bytes(b"\x00" * 20)
    status, problem, hint = refused(train(text, tmp_path / "model", "--steps", "6", "--resume", "--quiet"))
    assert (status, hint) == (1, "--force to start over")
    assert problem.startswith(f"the state of the run cannot be read: {path}: ")


@pytest.mark.parametrize(
    ("line", "problem", "hint"),
    [
        (
            "train a.txt -o m --device abacus",
            "unknown device 'abacus'",
            "--device auto, cpu, cuda, cuda:0 or mps",
        ),
        (
            "train a.txt -o m --minutes nan",
            "--minutes nan is not a finite number",
            "--minutes 0.5, for example",
        ),
        ("train", "no text file was given", "attn train book.txt -o DIR"),
        ("train a.txt", "no directory was given for the model", "-o DIR"),
        (
            "train a.txt -o m --steps 1 --minutes 1",
            "a run ends after --steps or after --minutes, not both",
            "give only one of them",
        ),
        (
            "train a.txt -o m --resume --force",
            "--resume continues a run and --force starts a new one",
            "leave one of them out",
        ),
        (
            "train a.txt -o m --heads 2 --head-count 4",
            "the number of heads was given twice: --heads 2 and --head-count 4",
            "--head-count 4 alone",
        ),
        (
            "train a.txt -o m --width 100",
            "100 features cannot be divided evenly among 8 heads",
            "--width 104",
        ),
        (
            "train a.txt -o m --dtype float16",
            "--dtype float16 is not supported in training",
            "--dtype float32 or bfloat16",
        ),
        (
            "train a.txt -o m --store float64",
            "--store float64 is not supported in training",
            "--store float32 or float16",
        ),
    ],
)
def test_a_usage_error_is_2(line: str, problem: str, hint: str) -> None:
    assert refused(attn(*line.split())) == (2, problem, hint)


def test_a_loss_that_is_not_finite_ends_the_run(text: Path, tmp_path: Path) -> None:
    run = prepared(tmp_path / "model", text)
    ours = run.network("cpu")
    with torch.no_grad():
        ours.parameters.tensors["ln_f.weight"].fill_(float("nan"))
    with pytest.raises(AttnError, match=r"^the loss is no longer finite at a learning rate of "):
        runs.advance(run, ours, lambda _: None)


def test_bfloat16_training_works_too(text: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    run = prepared(tmp_path / "model", text, products=DType.BFLOAT16, steps=40)
    runs.advance(run, run.network("cpu"), lambda progress: losses.append(progress.loss))
    assert losses[-1] < losses[0] - 0.3


def test_other_files_in_the_way_are_kept(text: Path, tmp_path: Path) -> None:
    mine = tmp_path / "model" / "attn-training" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    problem = f"{mine.parent} exists but is not a training run"
    refusal = refused(train(text, tmp_path / "model", "--steps", "1", "--force"))
    assert refusal == (1, problem, "move it, or choose another directory")
    assert mine.read_text() == "mine"


def test_a_damaged_record_is_reported(text: Path, tmp_path: Path) -> None:
    prepared(tmp_path / "model", text)
    path = tmp_path / "model" / "attn-training" / "run.json"
    path.write_text('{"recipe": []}')
    status, problem, _ = refused(train(text, tmp_path / "model", "--steps", "6", "--resume"))
    assert (status, problem) == (2, f"the run in {tmp_path / 'model'} was started with layers None, not 2")
    path.write_text("[]")
    assert refused(train(text, tmp_path / "model", "--steps", "6", "--resume"))[0] == 1


def test_weights_that_do_not_fit_their_format_are_not_published(text: Path, tmp_path: Path) -> None:
    run = prepared(tmp_path / "model", text)
    ours = run.network("cpu")
    with torch.no_grad():
        ours.parameters.tensors["h.0.mlp.c_fc.weight"].fill_(1e5)
    half = replace(run, order=replace(run.order, store=DType.FLOAT16))
    with pytest.raises(AttnError, match=r"^a weight is too large for float16$"):
        finish(half, ours, saved_state.RunPosition(1, 1.0, 64))
    assert not (tmp_path / "model" / "config.json").exists()


def test_the_smallest_context_there_is_can_be_trained_and_measured(text: Path, tmp_path: Path) -> None:
    smallest = ["8" if option == "32" else option for option in OPTIONS]
    answer = attn("train", text, "-o", tmp_path / "model", *smallest, "--steps", "2", "--watch")
    assert answer.status == 0, answer.err


def test_a_directory_named_like_the_bundled_model_can_be_read(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "storybook").symlink_to(trained)
    monkeypatch.chdir(tmp_path)
    named, unnamed = attn("inspect", "cat", "--json", "-m", "storybook"), attn("inspect", "cat", "--json")
    assert (named.document["model"]["layers"], unnamed.document["model"]["layers"]) == (2, 4)


@pytest.mark.parametrize("name", ["run.json", "state.safetensors", "tokenizer.json", "train.bin"])
def test_a_state_that_is_a_link_to_another_place_is_not_read(text: Path, tmp_path: Path, name: str) -> None:
    prepared(tmp_path / "model", text)
    path = tmp_path / "model" / "attn-training" / name
    outside = tmp_path / "outside"
    outside.write_bytes(b"{}")
    path.unlink(missing_ok=True)
    path.symlink_to(outside)
    status, problem, hint = refused(train(text, tmp_path / "model", "--steps", "6", "--resume", "--quiet"))
    assert problem == f"{path} is a link that points outside the checkpoint: to {outside}"
    assert (status, hint) == (1, "replace the link with a copy of the file, if you trust it")


def test_a_state_in_another_directory_is_neither_read_nor_written(text: Path, tmp_path: Path) -> None:
    prepared(tmp_path / "other", text)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "attn-training").symlink_to(tmp_path / "other" / "attn-training")
    for option in ("--resume", "--force"):
        _, problem, _ = refused(train(text, tmp_path / "model", "--steps", "6", option, "--quiet"))
        path = tmp_path / "model" / "attn-training"
        problem_of_link = f"{path} is a link that points outside the checkpoint: "
        assert problem.startswith(problem_of_link)


def test_a_link_under_the_name_of_an_unfinished_file_is_not_written_through(
    text: Path, tmp_path: Path
) -> None:
    run = prepared(tmp_path / "model", text)
    victim = tmp_path / "victim"
    victim.write_bytes(b"whole")
    for name in ("state.safetensors", "held_out.bin", "run.json"):
        (run.scratch / f".{name}.part").symlink_to(victim)
    assert train(text, tmp_path / "model", "--steps", "6", "--resume", "--quiet").status == 0
    assert victim.read_bytes() == b"whole"
