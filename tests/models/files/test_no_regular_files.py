"""A file of a checkpoint that is no file: two lines, or the file is not needed; it is never waited for."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from tests.support.twins import RECIPES
from tests.support.worlds import attn

pytestmark = pytest.mark.skipif(os.name != "posix", reason="only POSIX has named pipes")

NAMES = (
    *("config.json", "generation_config.json", "attn.json", "adapter_config.json"),
    *("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"),
    *("pytorch_model.bin.index.json", "adapter_model.safetensors"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("merges.txt", "vocab.json", "vocab.txt", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model"),
    *("chat_template.jinja", "chat_template.json", "additional_chat_templates", "tekken.json"),
    *("additional_chat_templates/rag.jinja", "processor_config.json", "preprocessor_config.json"),
)
COMMANDS = (
    ("tokens", "the cat", "--chat"),
    ("inspect", "the cat"),
    ("tokens", "the cat", "--generate", "1"),
    ("verify", "the cat"),
)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.mkdir()


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model") / "gpt2"
    RECIPES["gpt2, next words"].save(place)
    return place


@pytest.fixture(autouse=True)
def _waits_for_nothing() -> Iterator[None]:
    """Whatever waits for a pipe is woken, and fails."""

    def wake(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError("a pipe was waited for")

    before = signal.signal(signal.SIGALRM, wake)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [pipe, directory, endless])
@pytest.mark.parametrize("has_whole", [True, False])
def test_what_is_no_file_is_refused_or_left_alone(
    name: str, kind: Callable[[Path], None], model: Path, tmp_path: Path, *, has_whole: bool
) -> None:
    place = Path(shutil.copytree(model, tmp_path / "m"))
    if not has_whole:  # the tokenizer is one of transformers
        (place / "tokenizer.json").unlink()
    path = place / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    kind(path)
    for command in COMMANDS if has_whole and kind is pipe else COMMANDS[:2]:
        found = attn(*command, "-m", place)
        assert found.status in {0, 1, 2}, found.err
        assert found.status == 0 or len(found.err.splitlines()) == 2, found.err
        assert "internal error" not in found.err
