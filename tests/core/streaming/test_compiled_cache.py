"""Compiled code needs no cache of its own: what is damaged, full or forbidden there changes no number."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="pip install -e '.[test]' brings it")
pytestmark = pytest.mark.slow  # numba compiles for seconds in a process of its own

CODE = """
import sys, torch
from attn_cli.core.attention import Operands
from attn_cli.core.masks import causal
from attn_cli.core.streaming import stream
from attn_cli.vocabulary import Metric
stream._WORTH_COMPILING = 0
draw = torch.Generator().manual_seed(0)
q, k, v = (torch.randn((2, 40, 8), generator=draw) for _ in range(3))
found = stream.summarise(Operands(q, k, v, scale=0.5, mask=causal), [Metric.ENTROPY, Metric.FIRST])
is_compiled = "attn_cli.core.streaming.compiled" in sys.modules
print(is_compiled, {name: float(value.double().sum()) for name, value in found.values.items()})
"""


def measured(**settings: str) -> str:
    """What the code prints with these settings."""
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), **settings}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A cache that was just filled, and what was measured then."""
    directory = tmp_path_factory.mktemp("numba")
    printed = measured(NUMBA_CACHE_DIR=str(directory))
    assert printed.startswith("True ")
    return directory, printed


def test_the_cache_refers_to_no_class_of_the_package(cache: tuple[Path, str]) -> None:
    [index] = cache[0].rglob("*.nbi")  # it is read before it is known whether it is of this version
    assert b"attn_cli" not in index.read_bytes()


def test_a_damaged_cache_is_compiled_anew(cache: tuple[Path, str]) -> None:
    directory, expected = cache
    files = [path for path in directory.rglob("*") if path.suffix in {".nbi", ".nbc"}]
    assert files
    for path in files:
        path.write_bytes(b"\x80\x04garbage")
    assert measured(NUMBA_CACHE_DIR=str(directory)) == expected


def test_a_cache_that_is_a_file_is_not_needed(cache: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    assert measured(NUMBA_CACHE_DIR=str(tmp_path / "taken")) == cache[1]


def test_settings_with_which_numba_cannot_run_leave_numpy_and_pytorch() -> None:
    printed = measured(NUMBA_NUM_THREADS="0")
    assert printed.startswith("False ")
    assert "entropy" in printed
