"""A file that holds something else than its name says is named, with what to do."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from attn_cli.errors import AttnError
from attn_cli.models.open import open_checkpoint
from tests.support.files import tensors_of
from tests.support.reference import NUMPY
from tests.support.twins import Save

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1234567\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>model.safetensors</title></head></html>"
IS_POINTER = "{file} is a pointer of Git LFS: the file itself was not downloaded"
IS_PAGE = "{file} is a web page, not the file that its name says"
PULL = "git lfs pull, in {directory}"
FETCH = "download the file itself: its address has /resolve/, not /blob/"


@pytest.fixture(params=["llama", "cohere"], ids=["native", "bridge"])
def directory(request: pytest.FixtureRequest, save: Save) -> Path:
    return save(request.param)


def refused(directory: Path) -> tuple[str, str]:
    with pytest.raises(AttnError) as caught:
        open_checkpoint("twin", directory, NUMPY).check()
    return caught.value.problem, caught.value.hint


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize(
    ("content", "problem", "hint"), [(POINTER, IS_POINTER, PULL), (PAGE, IS_PAGE, FETCH)], ids=["LFS", "HTML"]
)
def test_a_pointer_and_a_web_page_are_named(
    name: str, content: bytes, problem: str, hint: str, directory: Path
) -> None:
    (directory / name).write_bytes(content)
    file = directory / name
    assert refused(directory) == (problem.format(file=file), hint.format(directory=directory))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "vocab.txt", "tokenizer.model"])
def test_a_pointer_is_seen_in_older_files(name: str, directory: Path) -> None:
    replaced = "model.safetensors" if name.endswith("bin") else "tokenizer.json"
    (directory / replaced).unlink()
    (directory / name).write_bytes(POINTER)
    assert refused(directory)[0] == IS_POINTER.format(file=directory / name)


def test_the_answer_of_a_server_is_quoted(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(b"Entry not found\n")
    problem = f"{directory}/model.safetensors is text, not weights: 'Entry not found'"
    assert refused(directory) == (problem, "download the file again")


def _as_pickle(directory: Path) -> None:
    tensors = tensors_of(directory / "model.safetensors")
    torch.save(tensors, directory / "model.safetensors")


def _as_older_pickle(directory: Path) -> None:
    tensors = tensors_of(directory / "model.safetensors")
    torch.save(tensors, directory / "model.safetensors", _use_new_zipfile_serialization=False)


def _as_gguf(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(b"GGUF\3\0\0\0" + bytes(64))


MISNAMED: dict[str, tuple[Callable[[Path], None], str]] = {
    "a PyTorch file": (_as_pickle, "pytorch_model.bin"),
    "a pickle of PyTorch": (_as_older_pickle, "pytorch_model.bin"),
    "a GGUF file": (_as_gguf, "model.gguf"),
}


@pytest.mark.parametrize("what", MISNAMED)
def test_a_file_under_the_name_of_another_format_is_named(what: str, directory: Path) -> None:
    change, name = MISNAMED[what]
    change(directory)
    problem = f"{directory}/model.safetensors is {what}, not what its name says"
    assert refused(directory) == (problem, f"rename it to {name}")


def test_safetensors_under_the_name_of_a_pickle_are_named(directory: Path) -> None:
    shutil.move(directory / "model.safetensors", directory / "pytorch_model.bin")
    problem = f"{directory}/pytorch_model.bin is a safetensors file"
    assert refused(directory) == (problem, "rename it to model.safetensors")
