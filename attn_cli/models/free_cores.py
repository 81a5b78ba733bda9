"""How many cores are free: those that this process may use, less what other processes keep busy."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attn_cli.record import record

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_SHORTEST = 0.1  # seconds: the kernel counts in hundredths of one
_CGROUP_ROOT = Path("/sys/fs/cgroup")


@record(frozen=True, slots=True)
class CoreTimes:
    """How long the cores have computed until now, in seconds summed over cores."""

    moment: float
    everyone: float  # all processes, on the cores that this one may use
    own: float  # this process


def core_times() -> CoreTimes | None:
    """What the system has counted so far; None where it does not tell."""
    import psutil  # 0.03 s

    try:
        cores = psutil.cpu_times(percpu=True)
    except (OSError, psutil.Error):  # /proc may be hidden
        return None
    busy = sum(_busy(cores[core]) for core in usable_cores() if core < len(cores))
    return CoreTimes(time.monotonic(), busy, time.process_time())


def granted_cores() -> int:
    """How many cores this process may use, whoever else uses them: at least 1."""
    return max(1, _rounded(min(len(usable_cores()), core_quota(_CGROUP_ROOT))))


def free_cores(since: CoreTimes | None) -> int:
    """How many threads find a core of their own: at least 1.

    Counted since `since`, over a tenth of a second at least. Half a core counts as one. Without a count
    (`since` is None) every core that may be used is free.
    """
    if since is None:
        return granted_cores()
    time.sleep(max(0.0, since.moment + _SHORTEST - time.monotonic()))
    now = core_times()
    taken = 0.0 if now is None else _taken_by_others(since, now)
    return max(1, min(granted_cores(), _rounded(len(usable_cores()) - taken)))


def _rounded(cores: float) -> int:
    return int(cores + 0.5)


def are_threads_given() -> bool:
    """Whether the user has said how many threads to use."""
    return any(os.environ.get(name) for name in _THREAD_VARIABLES)


def usable_cores() -> Sequence[int]:
    """The numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)  # macOS and Windows


def core_quota(root: Path) -> float:
    """How many cores the control group grants, in version 2 or 1; infinite where it sets no limit."""
    limit = _words(root / "cpu.max") or [
        *_words(root / "cpu/cpu.cfs_quota_us"),
        *_words(root / "cpu/cpu.cfs_period_us"),
    ]
    if len(limit) != 2 or not all(word.isdigit() for word in limit):  # noqa: PLR2004  `max`, or -1
        return float("inf")
    return int(limit[0]) / int(limit[1])


def _taken_by_others(since: CoreTimes, now: CoreTimes) -> float:
    """How many cores other processes kept busy, on average."""
    others = (now.everyone - since.everyone) - (now.own - since.own)
    return max(0.0, others / (now.moment - since.moment))


def _busy(times: Any) -> float:
    """The seconds that a core computed for somebody; Linux counts guests among user times already."""
    idle = times.idle + getattr(times, "iowait", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - idle - guests)


def _words(path: Path) -> list[str]:
    """The words in a file of the system's; none where there is no such file."""
    try:
        return path.read_text("utf-8").split()
    except OSError:
        return []
