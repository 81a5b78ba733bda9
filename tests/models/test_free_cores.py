"""How many cores are free: of those that may be used, less what others take, within the quota."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from attn_cli.models import free_cores as module
from attn_cli.models.free_cores import CoreTimes, are_threads_given, core_quota, core_times, free_cores


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cores; 10 s ago nobody had computed, and since then this process did for 10 s."""
    monkeypatch.setattr(module, "usable_cores", lambda: range(4))
    monkeypatch.setattr(module, "core_quota", lambda _: float("inf"))


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(
    ("busy", "free"),
    [(10.0, 4), (14.0, 4), (16.0, 3), (20.0, 3), (26.0, 2), (40.0, 1), (45.0, 1)],
)
def test_others_take_away_the_cores_that_they_keep_busy(
    busy: float, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = CoreTimes(time.monotonic() - 10.0, 0.0, 0.0)
    monkeypatch.setattr(module, "core_times", lambda: CoreTimes(since.moment + 10.0, busy, 10.0))
    assert free_cores(since) == free


@pytest.mark.usefixtures("counted")
def test_where_nobody_counts_every_core_is_free() -> None:
    assert free_cores(None) == 4


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, float("inf")),
        ({"cpu.max": "max 100000\n"}, float("inf")),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3.0),
    ],
)
def test_a_container_may_grant_fewer_cores(files: dict[str, str], cores: float, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert core_quota(tmp_path) == cores


def test_a_quota_counts_even_where_nobody_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "usable_cores", lambda: range(64))
    monkeypatch.setattr(module, "core_quota", lambda _: 1.5)
    assert free_cores(None) == 2


def test_waiting_for_a_disk_is_idle_and_a_guest_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
    linux = dict(zip(names, (5.0, 1.0, 2.0, 90.0, 7.0, 0.0, 0.0, 1.0, 3.0, 0.5), strict=True))

    class Times(SimpleNamespace):
        def __iter__(self) -> "object":
            return iter(vars(self).values())

    psutil = SimpleNamespace(cpu_times=lambda *, percpu: [Times(**linux)] * (1 + percpu), Error=OSError)
    monkeypatch.setitem(sys.modules, "psutil", psutil)
    monkeypatch.setattr(module, "usable_cores", lambda: [1])
    times = core_times()
    assert times is not None
    assert times.everyone == pytest.approx(9.0)


def test_what_the_user_sets_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert not are_threads_given()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert are_threads_given()


@pytest.mark.slow  # a process that imports PyTorch
@pytest.mark.parametrize(("variables", "threads"), [({}, 1), ({"OMP_NUM_THREADS": "2"}, 2)])
def test_pytorch_gets_a_thread_for_each_free_core(variables: dict[str, str], threads: int) -> None:
    source = (
        "from attn_cli.models import backend; backend.free_cores = lambda since: 1;"
        "print(backend.torch_on_free_cores().get_num_threads())"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_"))}
    done = subprocess.run(
        [sys.executable, "-c", source], env=environment | variables, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == str(threads)
