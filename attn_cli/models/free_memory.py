"""How much memory is free: the minimum over the machine, the container and the process limit."""

import math
from collections.abc import Sequence
from pathlib import Path

from attn_cli.record import record

_CGROUP_ROOT = Path("/sys/fs/cgroup")


@record(frozen=True, slots=True)
class _CgroupFiles:
    """The files in which a version of Linux's control groups reports a container's memory."""

    limit: str
    usage: str
    statistics: str
    reclaimable: str  # a field in `statistics`: page cache, which the kernel can reclaim


_VERSIONS = (
    _CgroupFiles("memory.max", "memory.current", "memory.stat", "inactive_file"),
    _CgroupFiles(
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def free_bytes(device: str) -> float | None:
    """Free memory on `device` in bytes; None if it is unknown."""
    if device.startswith("cuda"):
        import torch  # already imported: it computes there

        free, _ = torch.cuda.mem_get_info(device)
        return float(free)
    limits = (_free_in_machine(), _free_in_container(_CGROUP_ROOT), _free_in_process())
    return min((limit for limit in limits if limit is not None), default=None)


def free_on(devices: Sequence[str]) -> float | None:
    """Free memory on all `devices` together in bytes; None if it is unknown."""
    each = [free_bytes(device) for device in devices]
    return None if None in each else math.fsum(free for free in each if free is not None)


def _free_in_machine() -> float | None:
    import psutil  # 0.03 s

    try:
        return float(psutil.virtual_memory().available)
    except (OSError, psutil.Error):  # /proc may be inaccessible
        return None


def _free_in_container(root: Path) -> float | None:
    """What the control group (version 2 or 1) leaves; psutil reports only the machine's memory."""
    for files in _VERSIONS:
        limit, usage = _number(root / files.limit), _number(root / files.usage)
        if limit is not None and usage is not None:
            return limit - usage + _field(root / files.statistics, files.reclaimable)
    return None


def _free_in_process() -> float | None:
    """What `ulimit -v` leaves of the address space; None without a limit or the module `resource`."""
    try:
        import resource
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    import psutil  # already imported in `_free_in_machine`

    try:
        return max(0.0, float(limit - psutil.Process().memory_info().vms))
    except (OSError, psutil.Error):
        return None


def _number(path: Path) -> float | None:
    """The number in a system file; None for a word (`max`) or a missing file."""
    try:
        text = path.read_text("utf-8").strip()
    except OSError:
        return None
    return float(text) if text.isdigit() else None


def _field(path: Path, name: str) -> float:
    """The number after `name` in a file with lines of the form `name number`; 0 if there is none."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        return 0.0
    values = (value for line in lines for field, _, value in [line.partition(" ")] if field == name)
    return next((float(value) for value in values if value.isdigit()), 0.0)
