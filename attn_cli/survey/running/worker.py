"""A process that opens the model once and measures the batches that it is given."""

import os
import signal
import threading
from collections.abc import Mapping
from multiprocessing import parent_process
from multiprocessing.connection import wait
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from attn_cli.kept_memory import keep_freed_memory
from attn_cli.survey.measuring import Surveyor
from attn_cli.survey.records import Batch, SurveyRequest
from attn_cli.survey.running.share import share_of
from attn_cli.survey.running.storage import batch_as_stored, save

THREADS = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
"""What the libraries of a worker read when they are imported: sums of several threads would depend on how
many there are, and workers would wait for each other."""

KEPT = 1 << 28
"""Bytes of freed memory that a worker keeps for its next document: the arrays of 2,000 tokens."""

_surveyor: Surveyor | Exception | None = None


def begin(
    request: SurveyRequest, environment: Mapping[str, str], processes: int, next_number: "Synchronized[int]"
) -> None:
    """Open the model in this process, one of `processes`; each takes the next number.

    Ctrl-C is for the process that started it, without which it ends.

    What prevents that is raised by `measure_into`: for an error here, the pool prints a traceback, ends all
    workers, and does not say why.
    """
    global _surveyor  # noqa: PLW0603  a process has one
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory(KEPT)
    with next_number.get_lock():
        number = next_number.value
        next_number.value += 1
    try:
        own, sharing = share_of(request, number, processes)
        _surveyor = Surveyor(own, environment, processes=sharing)
    except Exception as error:  # noqa: BLE001  raised below
        _surveyor = error


def measure_into(path: Path, number: int, batch: Batch) -> None:
    """Measure a batch and write what was found, unless the file is there: from before an interruption.

    Raises:
        AttnError: the model cannot be opened, or its files were changed.
    """
    assert _surveyor is not None, "`begin` has run"
    if isinstance(_surveyor, Exception):
        raise _surveyor
    if not path.exists():
        save(path, *batch_as_stored(_surveyor.measure(number, batch)))


def _end_with_parent() -> None:
    """Nobody reads the results of a process whose parent was killed."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
