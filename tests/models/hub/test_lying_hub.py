"""A hub that sends something else than it announced fills neither the disk nor the memory."""

import errno
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from attn_cli.models.files.safe_paths import LARGEST_TEXT
from attn_cli.models.hub import download as downloads
from tests.support.hub_place import WEIGHTS, Place
from tests.support.local_hub import Hub

pytestmark = pytest.mark.usefixtures("online")

LATER = "run the command again later"


def on_disk(place: Place) -> int:
    """The bytes of all files in the cache."""
    return sum(path.stat().st_size for path in place.folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("extra", [1, 2**20, 50 * 2**20])
def test_no_more_is_taken_than_was_announced(extra: int, place: Place, hub: Hub) -> None:
    hub.extra = extra
    problem = f"model.safetensors of org/small has the wrong size: more bytes instead of {len(WEIGHTS)}"
    assert place.refused() == (problem, LATER)
    assert on_disk(place) == 0
    assert hub.sent < 20 * 2**20  # the buffers of the connection
    hub.extra = 0
    assert (place.locate().directory / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP, identity", "x-made-up"])
def test_a_compressed_body_is_refused_before_it_grows(encoding: str, place: Place, hub: Hub) -> None:
    hub.encoding, hub.extra = encoding, 20 * 2**20
    problem = f"the hub sends model.safetensors of org/small compressed: {encoding}"
    assert place.refused() == (problem, "check HF_ENDPOINT, and the proxy on the way to it")
    assert on_disk(place) == 0


def test_a_body_that_names_no_compression_is_taken(place: Place, hub: Hub) -> None:
    hub.headers["Content-Encoding"] = "identity"
    assert place.locate().directory == place.snapshot


@pytest.mark.parametrize("kept", [len(WEIGHTS) + 1, 2**20])
def test_a_kept_part_that_is_too_long_is_thrown_away(kept: int, place: Place, hub: Hub) -> None:
    with pytest.raises(KeyboardInterrupt):
        place.locate(watch=interrupted)
    (part,) = place.folder.glob("blobs/*.incomplete")
    part.write_bytes(bytes(kept))
    hub.asked.clear()
    assert (place.locate().directory / "model.safetensors").read_bytes() == WEIGHTS
    assert "model.safetensors" in hub.fetched


def interrupted(_file: str, done: int, _total: int) -> None:
    if done > 5000:
        raise KeyboardInterrupt


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EFBIG"])
def test_a_part_on_a_full_disk_is_removed(code: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    write, number = vars(downloads)["_write"], getattr(errno, code)

    def full(file: Any, chunk: bytes) -> None:
        if file.tell() > 5000:
            raise OSError(number, "full")
        write(file, chunk)

    monkeypatch.setattr(downloads, "_write", full)
    problem = f"org/small cannot be saved in {place.folder}: full"
    assert place.refused() == (problem, "free some space there, or set HF_HOME to another directory")
    assert on_disk(place) == 0
    monkeypatch.setattr(downloads, "_write", write)
    assert (place.locate().directory / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("code", ["EIO", "EROFS"])
def test_a_part_on_a_disk_that_fails_otherwise_is_kept(
    code: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, number = vars(downloads)["_write"], getattr(errno, code)

    def failing(file: Any, chunk: bytes) -> None:
        if file.tell() > 5000:
            raise OSError(number, "failed")
        write(file, chunk)

    monkeypatch.setattr(downloads, "_write", failing)
    place.refused()
    assert on_disk(place) == 5120


SMALL_DISK = """
import resource, signal, sys
from pathlib import Path
import huggingface_hub.constants as constants
constants.HF_HUB_OFFLINE = False
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from attn_cli.models.hub.download import download_model
try:
    download_model("org/small", None, {"HF_HOME": sys.argv[1], "HF_ENDPOINT": sys.argv[2]})
except Exception as error:
    sys.exit(str(error))
"""


def test_where_a_file_may_not_grow_nothing_of_it_stays(place: Place, hub: Hub, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SMALL_DISK, tmp_path, hub.endpoint],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == f"org/small cannot be saved in {place.folder}: File too large\n"
    assert on_disk(place) == 0


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_text_that_would_not_be_parsed_is_not_downloaded(name: str, place: Place, hub: Hub) -> None:
    hub.files[name] = b"{}"
    hub.lengths[name] = LARGEST_TEXT + 1
    problem = f"{name} of org/small is too large: 100 MB, and the limit is 100 MB"
    assert place.refused() == (problem, f"see {hub.endpoint}/org/small")
    assert hub.fetched == []


@pytest.mark.parametrize("size", ["-1", str(-(2**63)), "many"])
def test_a_size_that_is_none_is_refused(size: str, place: Place, hub: Hub) -> None:
    hub.headers["X-Linked-Size"] = size
    problem, hint = place.refused()
    assert problem.startswith(f"{hub.endpoint} is not a Hugging Face hub: ")
    assert hint == "check HF_ENDPOINT"


@pytest.mark.parametrize("size", [10**18, 10**30])
def test_a_size_that_no_disk_has_is_refused_at_once(size: int, place: Place, hub: Hub) -> None:
    hub.headers["X-Linked-Size"] = str(size)
    del hub.files["tokenizer.json"], hub.files["vocab.json"]
    problem, _ = place.refused()
    assert "is too large: " in problem or "does not fit on the disk" in problem
    assert hub.fetched == []


@pytest.mark.parametrize("block", [b'{"error": "', b"x", b"[["])
def test_an_error_without_end_is_not_read(block: bytes, place: Place, hub: Hub) -> None:
    hub.error = block
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert place.refused() == ("the hub answered 500 to a request for org/small", LATER)
    assert hub.sent < 20 * 2**20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_only_the_model_is_requested(place: Place, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's telemetry would ask for a list of programs first."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    monkeypatch.setattr("huggingface_hub.utils._detect_agent._registry", None, raising=False)
    place.locate()
    names = {line.split()[1] for line in hub.asked}
    assert "agent-harnesses" not in names
    assert hub.asked[0] == "HEAD config.json"


def test_what_the_hub_warns_of_is_not_printed(
    place: Place, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.headers["X-HF-Warning"] = "topic; \x1b[31mred"
    place.locate()
    assert capsys.readouterr() == ("", "")
