"""The number of threads: one per available core, or as set by the user."""

from pathlib import Path

import pytest

from attn_cli.models import cores
from attn_cli.models.cores import core_quota, granted_cores, suited_threads


@pytest.fixture(autouse=True)
def _nobody_sets_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, float("inf")),
        ({"cpu.max": "max 100000\n"}, float("inf")),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3.0),
    ],
)
def test_a_container_may_grant_fewer_cores(files: dict[str, str], quota: float, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert core_quota(tmp_path) == quota


@pytest.mark.parametrize(("quota", "granted"), [(float("inf"), 64), (1.5, 2), (0.2, 1), (100.0, 64)])
def test_as_many_cores_are_granted_as_container_and_machine_allow(
    quota: float, granted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: 64)
    monkeypatch.setattr(cores, "core_quota", lambda _: quota)
    assert granted_cores() == granted


def test_there_are_no_more_threads_than_granted_cores_unless_the_user_sets_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cores, "granted_cores", lambda: 3)
    assert (suited_threads(8), suited_threads(2)) == (3, 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert suited_threads(8) == 8
