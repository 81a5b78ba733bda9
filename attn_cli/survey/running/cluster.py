"""Workers on a Ray cluster: each opens the model once, and their results come to this process.

The batches, their order and the one thread of each worker are those of `pool.py`, and so are the bytes that
come out. Documents are given out batch by batch from here rather than by Ray Data, because the sums and the
checkpoint need the results in their order, wherever they were computed; nodes need no common file system.
"""

import logging
import socket
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from time import monotonic
from typing import Any

from attn_cli.errors import AttnError
from attn_cli.kept_memory import keep_freed_memory
from attn_cli.record import record
from attn_cli.survey.measuring import Surveyor
from attn_cli.survey.records import Batch, SurveyRequest
from attn_cli.survey.running.pool import ATTEMPTS, Task
from attn_cli.survey.running.storage import Stored, batch_as_stored, save
from attn_cli.survey.running.worker import KEPT, THREADS

_AHEAD = 8  # batches for each worker that are read but not yet added: results that wait for an earlier one
_ANSWER = 10.0  # seconds that a cluster has to answer
_LOOK = 2.0  # seconds between two looks at the cluster
_PATIENCE = 300.0  # seconds without any worker: the cluster has no room for one


@record(frozen=True, slots=True)
class RayCluster:
    """So many workers on the cluster at this address; `auto`: the one that runs here, or a new one."""

    address: str
    count: int | None  # None: as many as the cluster has room for
    gpus: float  # of each worker
    request: SurveyRequest
    environment: Mapping[str, str]

    def run(self, tasks: Iterable[Task]) -> Iterator[int]:
        """Measure the batches; a worker that is lost is replaced, and its batch measured by another."""
        ray = _connected(self.address)
        crew = _Crew(ray, self)
        try:
            yield from crew.run(iter(tasks))
        finally:
            crew.dismiss()

    def size(self, ray: Any) -> int:
        """How many workers there are."""
        if self.count is not None:
            return self.count
        resources = ray.cluster_resources()
        room = resources.get("GPU", 0) / self.gpus if self.gpus else resources.get("CPU", 1)
        return max(1, int(room))


class _Worker:
    """What an actor is: a model that reads batches."""

    def __init__(self, request: SurveyRequest, environment: Mapping[str, str], processes: int) -> None:
        self._request, self._environment, self._processes = request, environment, processes

    def open(self) -> tuple[str, str] | None:
        """Open the model; what the error says if that fails, and what to try."""
        keep_freed_memory(KEPT)
        try:
            self._surveyor = Surveyor(self._request, self._environment, processes=self._processes)
        except AttnError as error:  # one that is raised here reaches the other process as a traceback
            return error.problem, error.hint
        return None

    def measure(self, number: int, batch: Batch) -> Stored:
        """What was found in a batch, as it is stored."""
        return batch_as_stored(self._surveyor.measure(number, batch))


class _Crew:
    """The workers, the batch that each of them measures, and the results that wait for their turn."""

    def __init__(self, library: "Any", cluster: RayCluster) -> None:
        self._ray, self._cluster = library, cluster
        self._size = cluster.size(library)
        self._actor = library.remote(
            num_cpus=0 if cluster.gpus else 1,
            num_gpus=cluster.gpus,
            runtime_env={"env_vars": THREADS},
        )(_Worker)
        self._idle = deque[Any]()
        self._busy: dict[Any, tuple[Any, Task]] = {}  # of each result to come: the worker and its batch
        self._coming: dict[Any, Any] = {}  # workers that open the model, or wait for room
        self._heard = monotonic()
        self._attempts: dict[int, int] = {}
        self._again = deque[Task]()
        for _ in range(self._size):
            self._hire()

    def run(self, tasks: Iterator[Task]) -> Iterator[int]:
        """The number of each batch, in their order, when its file is there."""
        order, done = deque[int](), set[int]()
        is_over = False
        while True:
            while not is_over and self._idle and (self._again or len(order) < self._size * _AHEAD):
                task = self._again.popleft() if self._again else next(tasks, None)
                if task is None:
                    is_over = not self._again
                    break
                if task[0] not in order:
                    order.append(task[0])
                if task[1].exists():  # from before an interruption
                    done.add(task[0])
                else:
                    self._give(task)
            while order and order[0] in done:
                done.discard(order[0])
                yield order.popleft()
            if is_over and not order:
                return
            self._welcome()
            done |= set(self._collected())
            is_over = is_over and not self._again

    def dismiss(self) -> None:
        """End the workers and leave the cluster."""
        busy = (actor for actor, _ in self._busy.values())
        for actor in [*self._idle, *busy, *self._coming.values()]:
            self._ray.kill(actor)
        self._ray.shutdown()

    def _hire(self) -> None:
        actor = self._actor.remote(self._cluster.request, dict(self._cluster.environment), self._size)
        self._coming[actor.open.remote()] = actor

    def _welcome(self) -> None:
        """Let workers that have opened the model begin; wait for the first if there is no other.

        Raises:
            AttnError: none comes.
        """
        is_alone = not self._busy and not self._idle
        for coming in self._wait(self._coming, _LOOK if is_alone else 0):
            actor = self._coming.pop(coming)
            if self._is_open(coming):
                self._idle.append(actor)
            else:
                self._hire()
        if not is_alone or self._idle:
            self._heard = monotonic()
        elif monotonic() - self._heard > _PATIENCE:
            problem = f"no worker could begin on the cluster for {_PATIENCE:.0f} seconds"
            raise AttnError(problem, "ray status shows what is free; fewer --workers or --gpus-per-worker")

    def _is_open(self, coming: Any) -> bool:
        """Whether a worker has opened the model; false if it was lost before.

        Raises:
            AttnError: it cannot open the model, as no other would.
        """
        try:
            error = self._ray.get(coming)
        except self._ray.exceptions.RayError:
            return False
        if error is not None:
            raise AttnError(*error)
        return True

    def _wait(self, results: Mapping[Any, Any], seconds: float) -> list[Any]:
        if not results:
            return []
        ready, _ = self._ray.wait(list(results), num_returns=1, timeout=seconds)
        return list(ready)

    def _give(self, task: Task) -> None:
        actor = self._idle.popleft()
        number, _, batch = task
        self._busy[actor.measure.remote(number, batch)] = (actor, task)

    def _collected(self) -> Iterator[int]:
        """The batches that were measured meanwhile; those of lost workers are to be measured again."""
        for result in self._wait(self._busy, _LOOK if not self._idle else 0):
            actor, task = self._busy.pop(result)
            number, path, _ = task
            try:
                save(path, *self._ray.get(result))
            except self._ray.exceptions.RayTaskError as error:
                raise error.as_instanceof_cause() from None
            except self._ray.exceptions.RayError as error:
                self._count_loss(number, error)
                self._again.append(task)
                self._hire()
            else:
                self._idle.append(actor)
                yield number

    def _count_loss(self, number: int, error: Exception) -> None:
        self._attempts[number] = self._attempts.get(number, 0) + 1
        if self._attempts[number] >= ATTEMPTS:
            problem = f"a worker of the cluster was lost {ATTEMPTS} times at the same documents"
            raise AttnError(problem, "fewer --workers if memory is short; --resume goes on") from error


def _connected(address: str) -> Any:
    """The library, connected to the cluster.

    Raises:
        AttnError: it is not installed, or there is no cluster.
    """
    try:
        import ray  # 1 s, and an extra
    except ImportError as error:
        raise AttnError(
            "--ray needs Ray, which is not installed", "pip install 'attn-cli[survey]'"
        ) from error
    _check_reachable(address)
    try:
        ray.init(
            address=None if address == "local" else address, log_to_driver=False, logging_level=logging.ERROR
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        problem = f"no Ray cluster at {address}: {error}"
        raise AttnError(problem, "ray start --head on this machine, then --ray auto") from error
    return ray


def _check_reachable(address: str) -> None:
    """Raise `AttnError` if nothing answers at HOST:PORT: Ray would try for minutes, and end the process."""
    host, is_there, port = address.rpartition("://")[2].rpartition(":")
    if not is_there or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER).close()
    except (OSError, OverflowError) as error:
        problem = f"no Ray cluster at {address}: {error}"
        raise AttnError(problem, "ray start --head on this machine, then --ray auto") from error
