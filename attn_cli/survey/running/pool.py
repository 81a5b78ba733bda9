"""Worker processes on this machine: a batch is measured by one of them, whichever is free."""

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Protocol

from attn_cli.errors import AttnError
from attn_cli.record import record
from attn_cli.survey.records import Batch, SurveyRequest
from attn_cli.survey.running import worker

_AHEAD = 2  # batches that wait for each worker, so that none is idle
ATTEMPTS = 3
"""At a batch whose worker ended."""

Task = tuple[int, Path, Batch]
"""The number of a batch, the file for what is found, and the batch."""


class Workers(Protocol):
    """Whoever measures batches: processes, or a cluster."""

    def run(self, tasks: Iterable[Task]) -> Iterator[int]:
        """Measure the batches; the number of each, in their order, when its file is there.

        Raises:
            AttnError: a worker cannot open the model, or ends again and again.
        """


@record(frozen=True, slots=True)
class Processes:
    """So many processes of this machine."""

    count: int
    request: SurveyRequest
    environment: Mapping[str, str]

    def run(self, tasks: Iterable[Task]) -> Iterator[int]:
        """Measure the batches; a process that ends is replaced, and its batch measured by another."""
        waiting, attempts = list[Task](), dict[int, int]()
        left = iter(tasks)
        is_done = False
        while not is_done:
            try:
                with self._pool() as pool:
                    yield from self._run(pool, left, waiting)
                is_done = True
            except BrokenProcessPool as error:
                for number in [number for number, _, _ in waiting[: self.count]] or [-1]:
                    attempts[number] = attempts.get(number, 0) + 1
                if max(attempts.values()) >= ATTEMPTS:
                    problem = f"a worker process ended {ATTEMPTS} times at the same documents"
                    raise AttnError(
                        problem, "fewer --workers if memory is short; --resume goes on"
                    ) from error

    def _run(self, pool: ProcessPoolExecutor, left: Iterator[Task], waiting: list[Task]) -> Iterator[int]:
        """Measure those that are `waiting`, then those that are `left`; what is not done stays waiting."""
        futures = [self._submit(pool, task) for task in waiting]
        while True:
            for task in islice(left, self.count * (1 + _AHEAD) - len(waiting)):
                waiting.append(task)
                futures.append(self._submit(pool, task))
            if not waiting:
                return
            futures[0].result()
            number, _, _ = waiting[0]
            del waiting[0], futures[0]
            yield number

    @staticmethod
    def _submit(pool: ProcessPoolExecutor, task: Task) -> "Future[None]":
        number, path, batch = task
        return pool.submit(worker.measure_into, path, number, batch)

    @contextmanager
    def _pool(self) -> Iterator[ProcessPoolExecutor]:
        """The processes, which end with the block, at once if it is left by an error."""
        context = multiprocessing.get_context("spawn")
        place = context.Value("i", 0)  # the number of the next worker
        pool = ProcessPoolExecutor(
            self.count,
            context,
            worker.begin,
            (self.request, dict(self.environment), self.count, place),
        )
        is_done = False
        try:
            with one_thread_each():
                yield pool
            is_done = True
        finally:
            if not is_done:
                for process in list((pool._processes or {}).values()):  # noqa: SLF001  3.14 has kill_workers
                    process.kill()
            pool.shutdown(cancel_futures=True)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes that start meanwhile compute with one thread."""
    before = {name: os.environ.get(name) for name in worker.THREADS}
    os.environ.update(worker.THREADS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
