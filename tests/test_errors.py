"""Every error that a user can cause: the status, two lines, word for word, and no files left behind."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from attn_cli.errors import AttnError, RefusedFileError
from tests.support.worlds import attn, refused

WORDS = 'a text with words, for example "The cat sat on the mat"'
LAYERS = "--layer 3, -1, 0,2,5, 4-7, 4- or all"
PLACE = "--heads 2.5"
TOGETHER = "check that config.json and the weights belong to the same model"
STEPS = (
    "input queries keys values scores bias mask logits weights context output norms norm-shares value-zeroing"
)


@pytest.fixture
def place(tmp_path: Path, twins: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with three models, an empty cache, and a few files."""
    for twin in twins.iterdir():
        (tmp_path / twin.name).symlink_to(twin)
    (tmp_path / "latin1.txt").write_bytes(b"caf\xe9 au lait")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "here.png").write_text("mine")
    (tmp_path / "here.json").write_text("mine")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def error(*arguments: str | Path, stdin: str = "") -> tuple[int, str, str]:
    return refused(attn(*arguments, stdin=stdin, HF_HOME="cache"))


USAGE: list[tuple[str, str, str]] = [
    ("foo", "no such command 'foo'", "attn inspect foo for a text, or attn --help"),
    ("--foo", "no such option: --foo", "attn --help"),
    ("inspect x --foo", "no such option: --foo", "attn inspect --help"),
    (
        "tokens x --layer 3",
        (
            "attn tokens has no option --layer: "
            "attn inspect, explain, heads, effects, heatmap and compare have it"
        ),
        "leave it out, or attn inspect",
    ),
    (
        "inspect x -m random --width 7",
        "7 features cannot be divided evenly among 4 heads",
        "choose a width that is a multiple of the number of heads",
    ),
    (
        "inspect x y",
        "attn inspect reads one text: 2 were given",
        'attn inspect "x y": quotes around the text',
    ),
    ("inspect x --layer", "--layer has no value: nothing follows", "--layer LAYERS"),
    ("inspect x --top abc", "--top takes a whole number of at least 1, not 'abc'", "--top 1"),
    ("inspect x --top 0", "--top takes a whole number of at least 1, not '0'", "--top 1"),
    (
        "inspect x --theme purple",
        "--theme cannot be 'purple': it must be one of auto, dark, light, paper",
        "attn inspect --help",
    ),
    (
        "heatmap x -s foo -o a.png",
        f"--step cannot be 'foo': it must be one of {', '.join(STEPS.split())}",
        "attn heatmap --help",
    ),
    (
        "compare x -d foo",
        "--distance cannot be 'foo': it must be one of jensen-shannon, cosine, total-variation",
        "attn compare --help",
    ),
    (
        "inspect x --dtype foo",
        "--dtype cannot be 'foo': it must be one of float32, float16, bfloat16, float64",
        "attn inspect --help",
    ),
    ("inspect", "no text was given", '"The cat sat on the mat", or --file PATH, or a pipe'),
    ("inspect x --file y", "two texts were given: 'x' and --file y", "leave one of them out"),
    ("inspect -", "the text is empty", WORDS),
    ("inspect --file empty.txt", "the text is empty", WORDS),
    ("inspect x -m bert --layer 99", "layer 99 does not exist: bert has 3, numbered 0 to 2", "--layer 2"),
    ("inspect x -m bert --layer -4", "layer -4 does not exist: bert has 3, numbered 0 to 2", "--layer 2"),
    ("inspect x -m bert --head 4", "head 4 does not exist: bert has 4, numbered 0 to 3", "--head 3"),
    ("inspect x -m bert --heads 3.0", "layer 3 does not exist: bert has 3, numbered 0 to 2", "--heads 2.0"),
    ("inspect x -m bert -l 2-1", "'2-1' selects no layer: it ends before it begins", "--layer 1-2"),
    ("inspect x -m bert -l x", "'x' selects no layer", LAYERS),
    ("inspect x -m bert -l 1,,2", "'1,,2' selects no layer", "--layer 1,2"),
    ("inspect x -m bert -H 0.5", "'0.5' selects no head", "--heads 0.5"),
    ("inspect x -m bert --heads 1", "'1' is not a layer and a head (LAYER.HEAD)", "-H 1"),
    ("compare x -m bert --heads 1", "'1' is not a layer and a head (LAYER.HEAD)", "-H 1"),
    ("inspect x -m bert --heads 1.2.3", "'1.2.3' is not a layer and a head (LAYER.HEAD)", PLACE),
    (
        "inspect x -m bert --heads 1.2 -l 1",
        "--heads already selects layers and heads: leave out --layer and --head",
        "--heads 1.2 alone",
    ),
    (
        "inspect x -m bert -l 2 --heads 3",
        "--heads already selects layers and heads: leave out --layer and --head",
        "-l 2 -H 3",
    ),
    ("inspect x -m random -H 9", "head 9 does not exist: random has 4, numbered 0 to 3", "--head 3"),
    (
        "inspect x --width 32",
        "--width applies only to -m random: the model is 'storybook'",
        "-m random --width 32, or leave out --width",
    ),
    (
        "heatmap x -m bert --seed 1 -o a.png",
        "--seed applies only to -m random: the model is 'bert'",
        "-m random --seed 1, or leave out --seed",
    ),
    (
        "heads x --head-count 8",
        "--head-count applies only to -m random: the model is 'storybook'",
        "-m random --head-count 8, or leave out --head-count",
    ),
    (
        "inspect x -m random --head-count 0",
        "--head-count takes a whole number from 1 to 1024, not '0'",
        "--head-count 1",
    ),
    ("inspect x -m random --heads 0", "random cannot have 0 heads", "--head-count 8"),
    ("inspect x -m random --heads 8 --heads 4", "random cannot have 8 and 4 heads", "--head-count 8"),
    ("inspect x -m random --heads 8 --head-count 4", "random cannot have 8 and 4 heads", "--head-count 4"),
    ("inspect x -m random --heads 1,3", "'1' is not a layer and a head (LAYER.HEAD)", "-H 1,3"),
    (
        "inspect x -m random --pair y",
        "random does not take a second text (--pair)",
        "put both texts into one",
    ),
    ("tokens x --pair y -m gpt2", "gpt2 does not take a second text (--pair)", "put both texts into one"),
    ("compare x", "compare needs two or more heads: none were given", "--heads 0.1,3.4"),
    (
        "compare x -m random -H 1",
        "compare needs two or more heads: one was given",
        "--heads 0.1,3.4",
    ),
    ("inspect x --device foo", "unknown device 'foo'", "--device auto, cpu, cuda, cuda:0 or mps"),
    ("heatmap x", "no file was given for the picture", "-o head.png"),
    ("heatmap x -o a.png --cmap foo", "colour map 'foo' does not exist", "--cmap viridis"),
    (
        "heatmap x -m random -o a.png -s bias",
        "random has no bias: the layer adds no position bias",
        "--step scores, logits or weights",
    ),
    (
        "heatmap x -o a.txt",
        "this command writes no '.txt' file: a.txt",
        "a name that ends in .png, .svg or .pdf",
    ),
    (
        "inspect x -o a.png",
        "this command writes no '.png' file: a.png",
        "attn heatmap for a picture, or a name that ends in .json, .npz, .safetensors or .csv",
    ),
    (
        "heatmap x -o a.csv",
        "this command writes no '.csv' file: a.csv",
        "attn inspect for the numbers, or a name that ends in .png, .svg or .pdf",
    ),
    (
        "inspect x -o a",
        "the name does not say which kind of file: a",
        "a name that ends in .json, .npz, .safetensors or .csv",
    ),
    ("inspect x -o a.csv -o a.csv", "the file is named twice: a.csv", "leave one of them out"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "problem", "hint"), USAGE, ids=[line for line, *_ in USAGE])
@pytest.mark.usefixtures("place")
def test_a_usage_error_is_2(line: str, problem: str, hint: str) -> None:
    assert error(*line.split()) == (2, problem, hint)


@pytest.mark.usefixtures("place")
def test_a_blank_text_is_refused() -> None:
    assert error("inspect", " \t ") == (2, "the text is blank: 3 whitespace characters", WORDS)
    assert error("tokens", "x", "--pair", "", "-m", "bert") == (2, "the second text is empty", WORDS)


OFFLINE = "HF_HUB_OFFLINE forbids downloading it"
IMPOSSIBLE: list[tuple[str, str, str]] = [
    ("inspect --file gone.txt", "gone.txt does not exist", "check the path after --file"),
    ("inspect --file empty", "empty cannot be read: Is a directory", "check the path after --file"),
    (
        "inspect --file latin1.txt",
        "latin1.txt is not UTF-8: byte 3 is 0xe9",
        "convert it, for example: iconv -f latin1 -t utf-8",
    ),
    (
        "inspect x -m gone",
        f"model 'gone' not found, and {OFFLINE}: no such directory, and not cached in cache/hub",
        "unset HF_HUB_OFFLINE, or: attn models lists the models on this machine",
    ),
    (
        "inspect x -m empty",
        "empty is not a model: the directory has no config.json",
        "a directory with config.json, model.safetensors and tokenizer.json",
    ),
    (
        "inspect x -m latin1.txt",
        "latin1.txt is not a model: it is a file, and not a .gguf file",
        "a .gguf file, or the directory that contains the model",
    ),
    ("heatmap x -o here.png", "the file exists: here.png", "--force to overwrite it, or another name"),
    ("inspect x -o here.json", "the file exists: here.json", "--force to overwrite it, or another name"),
    ("inspect x -o gone/a.json", "the directory does not exist: gone", "create it, or another name"),
    ("inspect x -o latin1.txt/a.json", "not a directory: latin1.txt", "another name"),
    ("inspect x -o folder.json --force", "not a file: folder.json", "another name"),
]


@pytest.mark.parametrize(("line", "problem", "hint"), IMPOSSIBLE, ids=[line for line, *_ in IMPOSSIBLE])
def test_a_failure_is_1_and_nothing_is_written(line: str, problem: str, hint: str, place: Path) -> None:
    before = sorted(place.iterdir())
    assert error(*line.split()) == (1, problem, hint)
    assert sorted(place.iterdir()) == before
    assert (place / "here.png").read_text() == (place / "here.json").read_text() == "mine"


@pytest.mark.usefixtures("place")
def test_a_text_longer_than_the_learned_positions_is_refused() -> None:
    problem = "the text is too long: 72 tokens, but bert has 64 positions"
    hint = "shorten the text, or use a model with more positions"
    assert error("inspect", "the " * 70, "-m", "bert") == (1, problem, hint)


@pytest.mark.usefixtures("place")
def test_a_directory_that_cannot_be_written_is_found_before_the_model_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    problem = "the directory is not writable: empty"
    assert error("inspect", "x", "-m", "gone", "-o", "empty/a.csv") == (1, problem, "another directory")


@pytest.mark.usefixtures("place")
def test_the_disk_may_be_full() -> None:
    Path("full.png").symlink_to("/dev/full")
    problem = "full.png cannot be written: no space left on device"
    hint = "another name, or a directory with free space and write permission"
    assert error("heatmap", "x", "-o", "full.png") == (1, problem, hint)


@pytest.mark.usefixtures("place")
def test_cuda_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    problem = f"device cuda:1 is not available: PyTorch {torch.__version__} was built without CUDA"
    assert error("inspect", "x", "--device", "cuda:1") == (1, problem, "--device cpu")


def test_markup_and_control_sequences_in_names_are_only_text() -> None:
    _, problem, _ = error("inspect", "x", "-m", "[/bold]\x1b[31m")
    assert problem.startswith("model '[/bold]\\x1b[31m' not found: ")


Damage = Callable[[Path], object]


def config(**changes: object) -> Damage:
    """The configuration with other values."""

    def change(model: Path) -> None:
        file = model / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def content(name: str, content: bytes) -> Damage:
    return lambda model: (model / name).write_bytes(content)


def missing(name: str) -> Damage:
    return lambda model: (model / name).unlink()


def cut_short(model: Path) -> None:
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:20000])


def tensors(change: Callable[[dict[str, np.ndarray]], object]) -> Damage:
    """The weights after `change`."""

    def damage(model: Path) -> None:
        weights = load_file(model / "model.safetensors")
        change(weights)
        save_file(weights, model / "model.safetensors")

    return damage


QUERY = "encoder.layer.1.attention.self.query.weight"
AGAIN = "download the file again"
REPAIR = "download the model again, or repair the file"
NOT_FINITE = "check the weights; float16 overflows easily: --dtype bfloat16 or float32"

DAMAGES: dict[str, tuple[Damage, str, str]] = {
    "config no JSON": (
        content("config.json", b"{"),
        (
            "m/config.json is not JSON: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)"
        ),
        REPAIR,
    ),
    "config a list": (
        content("config.json", b"[]"), "m/config.json contains a JSON list, not an object", REPAIR,
    ),
    "config empty": (
        content("config.json", b"{}"),
        "m/config.json has no model_type, and its architectures name no class of transformers: none",
        'write the type into the file, for example "model_type": "bert"',
    ),
    "family": (
        config(model_type="swoosh"),
        "unknown model type 'swoosh': m/config.json",
        "attn models --families lists the supported types",
    ),
    "heads": (
        config(num_attention_heads=5),
        "m/config.json says num_attention_heads is 5, which is not a divisor of hidden_size 32",
        REPAIR,
    ),
    "no tokenizer": (
        missing("tokenizer.json"),
        "m has no tokenizer: neither tokenizer.json nor an older file",
        "--tokenizer DIR, the directory of the model that it was trained with",
    ),
    "tokenizer": (
        content("tokenizer.json", b"{}"),
        "m/tokenizer.json is not a valid tokenizer: Model missing. at line 1 column 2",
        "download tokenizer.json again",
    ),
    "no weights": (
        missing("model.safetensors"),
        "m has no weights: neither model.safetensors nor pytorch_model.bin",
        "download the model again",
    ),
    "weights empty": (content("model.safetensors", b""), "m/model.safetensors is empty", AGAIN),
    "weights no file of the kind": (
        content("model.safetensors", b"\xff" * 100),
        "m/model.safetensors is truncated or not a safetensors file: 100 bytes",
        AGAIN,
    ),
    "weights with a broken header": (
        content("model.safetensors", b"\x05\0\0\0\0\0\0\0hello"),
        "m/model.safetensors has a damaged header: Expecting value: line 1 column 1 (char 0)",
        AGAIN,
    ),
    "shape": (
        config(hidden_size=64),
        (
            "the tensor encoder.layer.2.attention.output.dense.weight in m/model.safetensors "
            "has the shape (32, 32), not (64, 64)"
        ),
        TOGETHER,
    ),
    "layers": (
        config(num_hidden_layers=9),
        "the tensor encoder.layer.8.attention.output.dense.weight is missing from m",
        TOGETHER,
    ),
    "tensor": (
        tensors(lambda weights: weights.pop(QUERY)),
        f"the tensor {QUERY} is missing from m",
        TOGETHER,
    ),
    "not a number": (
        tensors(lambda weights: weights[QUERY].fill(np.nan)),
        "the scores of head 2.0 are not all finite numbers",
        NOT_FINITE,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "problem", "hint"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_model_says_what_is_wrong_with_it(
    damage: Damage, problem: str, hint: str, place: Path
) -> None:
    shutil.copytree(place / "bert", place / "m")
    damage(place / "m")
    assert error("inspect", "the cat", "-m", "m", "-l", "2", "-o", "a.json") == (1, problem, hint)
    assert not (place / "a.json").exists()


@pytest.mark.parametrize("command", ["inspect", "heads"])
def test_a_nan_head_is_reported_without_a_selection(command: str, place: Path) -> None:
    shutil.copytree(place / "bert", place / "m")
    tensors(lambda weights: weights[QUERY].fill(np.nan))(place / "m")
    problem = "the weights of head 1.0 are not all finite numbers"
    assert error(command, "the cat sat on a mat", "-m", "m") == (1, problem, NOT_FINITE)


def test_truncated_weights_name_the_first_missing_tensor(place: Path) -> None:
    shutil.copytree(place / "bert", place / "m")
    cut_short(place / "m")
    status, problem, hint = error("inspect", "the cat", "-m", "m")
    assert (status, hint) == (1, AGAIN)
    assert problem.startswith("m/model.safetensors is truncated: 20000 bytes, but the tensor ")


def test_damage_in_a_later_layer_does_not_affect_an_earlier_one(place: Path) -> None:
    shutil.copytree(place / "bert", place / "m")
    tensors(lambda weights: weights.pop(QUERY))(place / "m")
    assert attn("inspect", "the cat", "-m", "m", "-l", "0").status == 0


LONG = "x" * 10**6


@pytest.mark.parametrize(
    "config", ['{"model_type": "%s"}', '{"%s": 1, "model_type": 3}', '{"architectures": ["%s"]}']
)
def test_a_value_of_a_megabyte_does_not_fill_the_screen(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config % LONG)
    answer = attn("inspect", "x", "-m", tmp_path)
    assert answer.status == 1
    assert len(answer.err.splitlines()) == 2
    assert len(answer.err) < 1300


@pytest.mark.parametrize(
    "arguments",
    [["inspect", "x", "-m", LONG], ["inspect", "x", "-l", LONG], [LONG], ["heads", "x", f"--{LONG}"]],
)
def test_an_argument_of_a_megabyte_does_not_fill_the_screen_either(arguments: list[str]) -> None:
    answer = attn(*arguments)
    assert answer.status in {1, 2}
    assert len(answer.err.splitlines()) == 2
    assert len(answer.err) < 1300


def test_an_error_in_python_is_as_short() -> None:
    error = AttnError(LONG, LONG)
    assert len(str(error)) == len(error.hint) == 80


def test_an_error_about_a_file_keeps_it_from_process_to_process() -> None:
    error = RefusedFileError("model.bin is refused", "another file", Path("model.bin"))
    error.problem = f"--tokenizer cannot be opened: {error.problem}"
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    assert isinstance(again, RefusedFileError)
    assert (str(again), again.hint, again.file) == (error.problem, "another file", Path("model.bin"))
