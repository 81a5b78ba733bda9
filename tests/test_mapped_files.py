"""A file that changes while it is mapped ends the command with status 1 and two lines."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attn_cli import mapped_files as mapped
from attn_cli.errors import AttnError
from attn_cli.models.source import SourceRequest
from attn_cli.survey.batches import batches_of
from attn_cli.survey.records import Document, SurveyRequest
from attn_cli.survey.running.pool import Processes
from tests.models.gguf.test_gguf import written
from tests.support.every_type import save_twin
from tests.support.families import TRANSLATORS
from tests.support.twins import RECIPES

ROOT = Path(__file__).parents[1]
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

CUSTOM = """
import importlib, os, sys
def replaced(module, owner, name):
    place = importlib.import_module(module)
    place = getattr(place, owner) if owner else place
    original = getattr(place, name)
    def called(*arguments, **options):
        result, path = original(*arguments, **options), os.environ["CHANGED"]
        is_cut = os.environ["CHANGE"] == "truncated"
        os.truncate(path, min(4096, os.path.getsize(path))) if is_cut else os.utime(path, ns=(1, 1))
        return result
    setattr(place, name, called)
is_worker = any("spawn_main" in word for word in sys.orig_argv)
if is_worker or "survey" not in sys.orig_argv:
    replaced(*os.environ["CHANGED_AFTER"].split(":"))
"""
OPENED = "attn_cli.models.native.checkpoint:Checkpoint:check"
PLANNED = "attn_cli.models.bridge.bridge:Bridge:check_plan"
LOADED = "attn_cli.models.bridge.bridge::load_model"
WAYS = {
    "torch": (OPENED, "llama", "inspect", "--device", "cpu", "--dtype", "float16"),
    "bridge": (PLANNED, "falcon", "heads"),
    "bridge, loaded": (LOADED, "falcon", "heads"),
    "survey": (OPENED, "llama", "survey", "--workers", "2"),
    "survey, bridge": (LOADED, "falcon", "survey", "--workers", "2"),
    "report, while hashing": ("hashlib::file_digest", "llama", "report"),
}
"""The function after which the file is changed, the twin, the command and its options."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    for name, recipe in (("llama", RECIPES["llama"]), ("t5", TRANSLATORS["t5"])):
        recipe.save(directory / name)
    (directory / "falcon").mkdir()
    save_twin("falcon", directory / "falcon")
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


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("change", ["truncated", "changed"])
def test_a_change_is_reported_on_every_way_and_nothing_is_written(
    models: Path, way: str, change: str, tmp_path: Path
) -> None:
    moment, twin, command, *options = WAYS[way]
    shutil.copytree(models / twin, model := tmp_path / "model")
    (tmp_path / "sitecustomize.py").write_text(CUSTOM)
    (tmp_path / "lines.txt").write_text("the cat\na dog\n")
    output = tmp_path / ("found.html" if command == "report" else "found.json")
    text = "lines.txt" if command == "survey" else "the cat"
    done = subprocess.run(
        [sys.executable, "-m", "attn_cli", command, text, "-m", str(model), *options, "-o", output.name],
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
            "CHANGED": str(file := model / "model.safetensors"),
            "CHANGED_AFTER": moment,
            "CHANGE": change,
        },
    )
    said = [f"attn: {file} was {how} while attn was reading it\n{HINT}" for how in ("changed", "truncated")]
    progress = "found.json.partial has what was measured so far: --resume goes on with the same files"
    end = done.stderr.removeprefix(f"{progress} and options\n")
    assert (done.returncode, done.stdout, end in said) == (1, "", True), done.stderr
    assert not output.exists()


def test_a_worker_that_cannot_open_the_model_says_why(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    request = SurveyRequest(SourceRequest(str(tmp_path)))
    batch = next(batches_of([Document("lines.txt", 1, "the cat")]))
    with pytest.raises(AttnError, match=r"config\.json"):
        list(Processes(1, request, {}).run([(0, tmp_path / "batch", batch)]))


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
