"""A file that changes while it is mapped ends the command with status 1 and two lines."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attn_cli import mapped_files as mapped
from attn_cli.errors import AttnError
from tests.models.gguf.test_gguf import written
from tests.support.families import TRANSLATORS
from tests.support.twins import RECIPES

HINT = "try: run the command again when no other program writes the file\n"
PROGRAM = """
import os, sys
from attn_cli.models.native.checkpoint import Checkpoint
change, path = sys.argv.pop(1), sys.argv.pop(1)
opened = Checkpoint.check
def check(self):
    opened(self)
    os.truncate(path, 4096) if change == "truncated" else os.utime(path, ns=(1, 1))
Checkpoint.check = check
from attn_cli.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    for name, recipe in (("llama", RECIPES["llama"]), ("t5", TRANSLATORS["t5"])):
        recipe.save(directory / name)
    return directory


def file_of(models: Path, kind: str) -> Path:
    return written(models / "llama") if kind == "gguf" else models / kind / "model.safetensors"


@pytest.mark.parametrize("kind", ["llama", "t5", "gguf"])
@pytest.mark.parametrize("change", ["truncated", "changed"])
def test_a_file_that_changes_while_it_is_read_is_reported(models: Path, kind: str, change: str) -> None:
    file = file_of(models, kind)
    content = file.read_bytes()
    model = str(file if kind == "gguf" else file.parent)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, change, str(file), "inspect", "the cat", "-m", model, "-l", "1"],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    file.write_bytes(content)
    said = f"attn: {file} was {change} while attn was reading it\n{HINT}"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_a_file_that_was_replaced_or_removed_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12")
    with path.open("rb") as file:
        mapped.watch(path, file.fileno())
    (tmp_path / "b").write_bytes(b"3")
    (tmp_path / "b").replace(path)
    mapped.check_unchanged([path])
    path.unlink()
    mapped.check_unchanged([path])


def test_other_files_that_change_are_not_reported(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12")
    with path.open("rb") as file:
        mapped.watch(path, file.fileno())
    path.write_bytes(b"123")
    with pytest.raises(AttnError) as caught:
        mapped.check_unchanged([path])
    assert caught.value.problem == f"{path} was changed while attn was reading it"
    mapped.check_unchanged([tmp_path / "b"])
    assert path in mapped.mapped_since(0)
    assert path not in mapped.mapped_since(time.monotonic())
