"""Free memory as reported by machines, containers and shells."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import psutil
import pytest

from attn_cli.models import free_memory
from attn_cli.models.free_memory import free_bytes

UNLIMITED = 9223372036854771712  # as version 1 writes it
Cgroup: TypeAlias = Callable[[Mapping[str, str]], None]
"""Writes the files of a container."""

VERSION_2 = {"memory.max": "1000\n", "memory.current": "600\n", "memory.stat": "file 90\ninactive_file 50\n"}
VERSION_1 = {
    "memory/memory.limit_in_bytes": "800\n",
    "memory/memory.usage_in_bytes": "600\n",
    "memory/memory.stat": "inactive_file 7\ntotal_inactive_file 30\n",
}


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cgroup:
    """No container, as on macOS and Windows, until its files are created."""
    monkeypatch.setattr(free_memory, "_CGROUP_ROOT", tmp_path / "cgroup")

    def write(files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "cgroup" / name).write_text(text)

    return write


class Machine:
    """A machine with simulated memory and limits: initially 10,000 bytes are free, without limits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.has_available(10_000)
        self.has_resource(-1)

    def has_available(self, size: int) -> None:
        self._monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=size))

    def hides_its_memory(self) -> None:
        def hidden() -> Any:
            raise FileNotFoundError("/proc/meminfo")

        self._monkeypatch.setattr(psutil, "virtual_memory", hidden)

    def has_resource(self, limit: int) -> None:
        """The module `resource`, with a limit on addresses."""
        module = SimpleNamespace(RLIMIT_AS=9, RLIM_INFINITY=-1, getrlimit=lambda _kind: (limit, -1))
        self._monkeypatch.setitem(sys.modules, "resource", module)

    def lacks_resource(self) -> None:
        """Importing `resource` fails, as on Windows."""
        self._monkeypatch.setitem(sys.modules, "resource", None)

    def has_process_of(self, size: int) -> None:
        """A process with this much address space in use."""
        process = SimpleNamespace(memory_info=lambda: SimpleNamespace(vms=size))
        self._monkeypatch.setattr(psutil, "Process", lambda: process)

    def hides_its_processes(self) -> None:
        def hidden() -> Any:
            raise psutil.NoSuchProcess(1)

        self._monkeypatch.setattr(psutil, "Process", hidden)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.mark.usefixtures("cgroup")
def test_a_machine_without_containers_leaves_what_is_available(machine: Machine) -> None:
    assert free_bytes("cpu") == 10_000
    machine.lacks_resource()
    assert free_bytes("cpu") == 10_000


def test_a_container_leaves_its_limit_without_what_is_used_and_with_what_is_given_back(
    machine: Machine, cgroup: Cgroup
) -> None:
    cgroup(VERSION_1)
    assert free_bytes("cpu") == 800 - 600 + 30
    cgroup(VERSION_2)  # a machine with both counts memory by one of them: the newer
    assert free_bytes("cpu") == 1000 - 600 + 50
    machine.has_available(40)
    assert free_bytes("cpu") == 40


@pytest.mark.parametrize(
    "files",
    [
        VERSION_2 | {"memory.max": "max\n"},
        VERSION_1 | {"memory/memory.limit_in_bytes": f"{UNLIMITED}\n"},
        {"memory.max": "1000\n"},
        {"memory/memory.limit_in_bytes": "800\n"},
    ],
)
def test_a_container_without_a_limit_or_without_its_usage_leaves_the_machines(
    files: Mapping[str, str], machine: Machine, cgroup: Cgroup
) -> None:
    cgroup(files)
    machine.has_available(5_000)
    assert free_bytes("cpu") == 5_000


@pytest.mark.parametrize("statistics", [None, "", "inactive_file\n", "inactive_file x\n", "anon 5\n"])
def test_a_container_that_does_not_tell_what_it_gives_back_gives_back_nothing(
    statistics: str | None, machine: Machine, cgroup: Cgroup
) -> None:
    files = {name: text for name, text in VERSION_2.items() if name != "memory.stat"}
    cgroup(files if statistics is None else files | {"memory.stat": statistics})
    machine.lacks_resource()
    assert free_bytes("cpu") == 1000 - 600


@pytest.mark.usefixtures("cgroup")
def test_an_address_space_limit_leaves_what_is_unused(machine: Machine) -> None:
    machine.has_resource(3_000)
    machine.has_process_of(2_900)
    assert free_bytes("cpu") == 100
    machine.has_process_of(3_100)
    assert free_bytes("cpu") == 0


@pytest.mark.usefixtures("cgroup")
def test_a_machine_that_reports_nothing_has_no_limit(machine: Machine) -> None:
    machine.hides_its_memory()
    assert free_bytes("cpu") is None
    machine.has_resource(3_000)
    machine.hides_its_processes()
    assert free_bytes("cpu") is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on addresses")
def test_a_real_limit_on_addresses_is_counted() -> None:
    code = "import resource as r; from attn_cli.models.free_memory import free_bytes as f; "
    code += "r.setrlimit(r.RLIMIT_AS, (1 << 32, r.getrlimit(r.RLIMIT_AS)[1])); print(f('cpu'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < float(done.stdout) < 1 << 32


def test_this_machine_has_memory() -> None:
    free = free_bytes("cpu")
    assert free is not None
    assert 0 < free <= psutil.virtual_memory().total
