"""Hostile checkpoints of types that transformers computes: refused as natively, in little time and memory."""

import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from attn_cli.errors import AttnError
from attn_cli.models.files import claims
from attn_cli.models.files.safe_paths import LARGEST_TEXT
from attn_cli.models.open import open_checkpoint
from tests.support.every_type import save_twin
from tests.support.reference import NUMPY, every_weight_of

pytestmark = pytest.mark.slow  # transformers saves and loads a model

COPY = "replace the link with a copy of the file, if you trust it"
FIT = "check that config.json and the weights belong to the same model"
OPENED = "use a checkpoint with model.safetensors, or ask its author for one"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("falcon")
    save_twin("falcon", directory)
    return directory


@pytest.fixture
def model(twin: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(twin, tmp_path / "model"))


def configured(directory: Path, **values: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refused(directory: Path) -> tuple[str, str]:
    with pytest.raises(AttnError) as caught:
        every_weight_of(open_checkpoint("m", directory, NUMPY), "the cat")
    return caught.value.problem, caught.value.hint


@pytest.mark.parametrize(
    "name", ["model.safetensors", "generation_config.json", "config.json", "tokenizer.json", "vocab.txt"]
)
def test_a_link_out_of_the_checkpoint_is_not_followed(model: Path, tmp_path: Path, name: str) -> None:
    (model / name).touch()
    outside = (model / name).rename(tmp_path / "outside")
    (model / name).symlink_to("../outside")
    problem = f"{model / name} is a link that points outside the checkpoint: to {outside}"
    assert refused(model) == (problem, COPY)


@pytest.mark.parametrize("name", ["model.safetensors", "generation_config.json", "chat_template.jinja"])
def test_a_pipe_instead_of_a_file_is_not_waited_for(model: Path, name: str) -> None:
    (model / name).unlink(missing_ok=True)
    os.mkfifo(model / name)
    assert refused(model) == (f"{model / name} is not a regular file", "replace it with a regular file")


@pytest.mark.parametrize("name", ["generation_config.json", "special_tokens_map.json", "merges.txt"])
def test_a_text_that_would_fill_the_memory_is_not_parsed(model: Path, name: str) -> None:
    (model / name).touch()
    os.truncate(model / name, LARGEST_TEXT + 1)  # the disk holds a page of it
    problem = f"{model / name} is too large: 100 MB, and the limit is 100 MB"
    assert refused(model) == (problem, "download the file again")


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/passwd", "a/../../x.safetensors"])
def test_a_shard_outside_the_checkpoint_is_not_opened(model: Path, name: str) -> None:
    (model / "model.safetensors").rename(model.parent / "outside.safetensors")
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    problem = f"{model}/model.safetensors.index.json lists a file outside its directory: {name!r}"
    assert refused(model) == (problem, "download the file again")


def test_weights_under_a_name_of_their_own_are_not_opened(model: Path) -> None:
    """Transformers would read this file in place of the one that was checked."""
    configured(model, transformers_weights="other.safetensors")
    (model / "other.safetensors").write_bytes(b"never read")
    assert len(every_weight_of(open_checkpoint("m", model, NUMPY), "the cat")) == 3


class Calls:
    """What a pickle says, unpickled: a call of a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def archive(path: Path, content: object) -> None:
    """Write a file of PyTorch with this pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(content, protocol=2))
        file.writestr("archive/version", "3\n")


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (Calls(bytearray, 8 * 2**30), "__builtin__.bytearray"),
        (Calls(torch.Tensor, 2**31), "torch.Tensor"),
        (Calls(os.system, "true"), "posix.system"),
    ],
)
def test_a_pickle_of_more_than_tensors_is_not_opened(model: Path, call: Calls, name: str) -> None:
    (model / "model.safetensors").unlink()
    archive(model / "pytorch_model.bin", {"a": call})
    problem = f"{model}/pytorch_model.bin is refused: it is a pickle that would run {name}"
    assert refused(model) == (problem, OPENED)


CLAIMS = [
    ({"num_hidden_layers": 10**5}, "num_hidden_layers 100,000"),
    ({"num_hidden_layers": 10**9}, "num_hidden_layers 1,000,000,000"),
    ({"num_hidden_layers": 10**400}, "num_hidden_layers 10,000,0"),
    ({"text_config": {"n_layer": 10**6}}, "n_layer 1,000,000"),
    ({"num_experts": 10**7}, "num_experts 10,000,000"),
    ({"depths": [1, 10**5]}, "depths 100,000"),
    ({"vocab_size": 10**12}, "the tensor word_embeddings.weight of 3"),
    ({"hidden_size": 2**22, "num_attention_heads": 2}, "the tensor word_embeddings.weight of "),
]


def test_a_pickle_that_is_longer_than_one_of_tensors_is_not_opened_either(model: Path) -> None:
    with zipfile.ZipFile(model / "pytorch_model.bin", "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x02" + b"N0" * 100_000 + b"}.")
    (model / "model.safetensors").unlink()
    problem = f"{model}/pytorch_model.bin is damaged: its pickle is longer than one of tensors"
    assert refused(model) == (problem, "download the file again")


@pytest.mark.parametrize(("values", "claim"), CLAIMS)
def test_what_the_files_cannot_hold_is_not_built(model: Path, values: dict[str, Any], claim: str) -> None:
    configured(model, **values)
    problem, hint = refused(model)
    assert problem.startswith(f"{model}/config.json asks for {claim}")
    assert problem.partition(", but ")[2].startswith("the weights have 21 tensors, 0.")
    assert hint == FIT


def test_the_modules_are_counted_whatever_the_key_is_called(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "check_counts", lambda *_: None)
    monkeypatch.setattr("attn_cli.models.bridge.bridge.check_counts", lambda *_: None)
    configured(model, num_hidden_layers=400)
    problem, hint = refused(model)
    assert problem.startswith(
        f"{model}/config.json asks for more than 2,420 modules, but the weights have 21 "
    )
    assert hint == FIT


def test_without_weights_a_count_is_bounded_too(model: Path) -> None:
    """As for `attn tokens`, which downloads none."""
    (model / "model.safetensors").unlink()
    configured(model, num_hidden_layers=10**5)
    problem = f"{model}/config.json asks for num_hidden_layers 100,000, but no model is so large"
    assert refused(model) == (problem, FIT)


MEASURED = """
import sys, time
import transformers
from attn_cli.cli import run
from attn_cli.console import World
before = time.process_time()
status = run(["inspect", "the cat", "-q", "-m", sys.argv[1]], World.real())
assert time.process_time() - before < 30, time.process_time() - before
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
assert int(peak) < 600_000, peak  # ru_maxrss would count the process of the tests, which was forked
sys.exit(status)
"""


@pytest.mark.parametrize("case", ["pickle", "layers", "vocabulary"])
def test_a_hostile_checkpoint_takes_little_time_and_memory(model: Path, case: str) -> None:
    if case == "pickle":
        (model / "model.safetensors").unlink()
        archive(model / "pytorch_model.bin", {"a": Calls(bytearray, 8 * 2**30)})
    else:
        configured(model, **{{"layers": "num_hidden_layers", "vocabulary": "vocab_size"}[case]: 10**8})
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, model],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32)),
    )
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["attn", "try"]
