"""Where weights come from: the commit of the hub's cache, and a checksum that users can make again."""

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from attn_cli.models.hub.origin import Origin, origin_of
from tests.support.worlds import attn

COMMIT, BLOB = "a" * 40, "b" * 64


def cached(home: Path, blob: str) -> Path:
    """A snapshot of a model in the layout of the hub's cache."""
    model = home / "models--a--b"
    snapshot = model / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (model / "blobs").mkdir()
    (model / "blobs" / blob).write_bytes(b"weights")
    (snapshot / "model.safetensors").symlink_to(Path("../../blobs") / blob)
    return snapshot


def test_the_cache_names_commit_and_checksum_without_reading(tmp_path: Path) -> None:
    assert origin_of([cached(tmp_path, BLOB)], most=0) == Origin(COMMIT, BLOB)


def test_a_blob_that_is_not_named_by_its_checksum_is_read(tmp_path: Path) -> None:
    snapshot = cached(tmp_path, "c" * 40)
    assert origin_of([snapshot]) == Origin(COMMIT, sha256(b"weights").hexdigest())


@pytest.mark.parametrize(("most", "is_known"), [(6, False), (7, True), (None, True)])
def test_large_files_are_read_only_if_asked(most: int | None, is_known: bool, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert (origin_of([tmp_path], most).checksum is not None) is is_known


def test_several_files_have_the_checksum_of_what_sha256sum_prints(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"base")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"adapter")
    lines = "".join(
        subprocess.run(["sha256sum", name], cwd=place, capture_output=True, text=True, check=True).stdout  # noqa: S607
        for place, name in ((adapter, "adapter_model.safetensors"), (tmp_path, "model.safetensors"))
    )
    assert origin_of([tmp_path, adapter]).checksum == sha256(lines.encode()).hexdigest()


def test_a_file_that_changes_has_another_checksum(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    first = origin_of([tmp_path]).checksum
    file.write_bytes(b"other")
    assert origin_of([tmp_path]).checksum == sha256(b"other").hexdigest() != first


def test_a_directory_without_weights_has_no_checksum(tmp_path: Path) -> None:
    assert origin_of([tmp_path]) == origin_of([]) == Origin(None, None)


def test_json_says_where_the_weights_come_from(twins: Path) -> None:
    model = attn("inspect", "the cat", "-m", twins / "bert", "--json").document["model"]
    content = (twins / "bert" / "model.safetensors").read_bytes()
    assert (model["revision"], model["checksum"]) == (None, sha256(content).hexdigest())
    assert attn("inspect", "a", "-m", "random", "--json").document["model"]["checksum"] is None
