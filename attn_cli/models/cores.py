"""How many cores this process may use: as many threads compute, also where other programs run.

What costs beside other programs is not the number of threads but how they wait for one another: in a loop,
the thread that has a core burns it while the other has none. `cli.main` lets them sleep. `attn heads` over
3,072 tokens, 2 cores, beside 3 busy loops: 28 s in a loop, 18 s asleep, 23 s with one thread; on idle cores:
6.8, 6.9 and 9.9 s.
"""

import os
from pathlib import Path

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_CGROUP_ROOT = Path("/sys/fs/cgroup")


def granted_cores() -> int:
    """How many cores this process may use, those of its control group's quota at most: at least 1."""
    return max(1, int(min(usable_cores(), core_quota(_CGROUP_ROOT)) + 0.5))


def suited_threads(default: int) -> int:
    """The user's number of threads where one is set, otherwise `default`, but no more than granted cores."""
    is_given = any(os.environ.get(name) for name in _THREAD_VARIABLES)
    return default if is_given else min(default, granted_cores())


def usable_cores() -> int:
    """How many cores the system would run this process on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and Windows


def core_quota(root: Path) -> float:
    """How many cores the control group grants, in version 2 or 1; infinite where it sets no limit."""
    version_1 = (root / "cpu/cpu.cfs_quota_us", root / "cpu/cpu.cfs_period_us")
    limit = _words(root / "cpu.max") or [word for file in version_1 for word in _words(file)]
    if not limit or not all(word.isdigit() for word in limit):  # `max` in version 2, -1 in version 1
        return float("inf")
    quota, period = map(int, limit)
    return quota / period


def _words(path: Path) -> list[str]:
    """The words in a file of the system's; none where there is no such file."""
    try:
        return path.read_text("utf-8").split()
    except OSError:
        return []
