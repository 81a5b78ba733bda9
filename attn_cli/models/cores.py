"""How many cores this process may use, which is also the number of threads, even on a busy machine.

On a busy machine the cost comes not from the number of threads but from how they wait for each other: one
that spins burns the core that another needs. `cli.main` makes them sleep instead. `attn heads` over
3,072 tokens on 2 cores, beside 3 busy loops: 28 s spinning, 18 s sleeping, 23 s with one thread; on idle
cores: 6.8, 6.9 and 9.9 s.
"""

import os
from pathlib import Path

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_CGROUP_ROOT = Path("/sys/fs/cgroup")


def granted_cores() -> int:
    """The number of cores this process may use, within its control group's quota; at least 1."""
    return max(1, int(min(usable_cores(), core_quota(_CGROUP_ROOT)) + 0.5))


def suited_threads(default: int) -> int:
    """`default`, limited to the granted cores, unless the user has set a number of threads."""
    is_given = any(os.environ.get(name) for name in _THREAD_VARIABLES)
    return default if is_given else min(default, granted_cores())


def usable_cores() -> int:
    """The number of cores the operating system may run this process on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and Windows


def core_quota(root: Path) -> float:
    """The number of cores the control group (version 2 or 1) grants; infinite without a limit."""
    version_1 = (root / "cpu/cpu.cfs_quota_us", root / "cpu/cpu.cfs_period_us")
    limit = _words(root / "cpu.max") or [word for file in version_1 for word in _words(file)]
    if not limit or not all(word.isdigit() for word in limit):  # `max` in version 2, -1 in version 1
        return float("inf")
    quota, period = map(int, limit)
    return quota / period


def _words(path: Path) -> list[str]:
    """The words in a system file; empty if there is no such file."""
    try:
        return path.read_text("utf-8").split()
    except OSError:
        return []
