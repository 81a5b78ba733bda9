"""Workers: the same bytes from any number of them, after any interruption."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attn_cli.errors import AttnError, UsageError
from attn_cli.models.source import SourceRequest
from attn_cli.survey.batches import batches_of
from attn_cli.survey.measuring import Surveyor
from attn_cli.survey.records import Document, SurveyRequest
from attn_cli.survey.running import pool, run
from attn_cli.survey.running.checkpoint import Checkpoint
from attn_cli.survey.running.pool import Processes, Task
from attn_cli.survey.running.run import Surveyed, run_survey
from attn_cli.survey.running.storage import batch_as_stored, save

REQUEST = SurveyRequest(SourceRequest())
WORDS = [
    "once",
    "upon",
    "a",
    "time",
    "the",
    "cat",
    "sang",
    "a",
    "song",
    "to",
    "sam",
    "and",
    "sam",
    "was",
    "sad",
    "because",
    "it",
    "was",
    "gone",
]


def documents(count: int = 100) -> Iterator[Document]:
    """Texts of different lengths, with words that recur."""
    for line in range(count):
        words = [WORDS[(line * 7 + place * place) % len(WORDS)] for place in range(4 + line % 23)]
        yield Document("lines.txt", line + 1, " ".join(words))


BATCHES = len(list(batches_of(documents())))


class Here:
    """This process alone, which may be told to stop before a batch."""

    def __init__(self, stop: int | None = None, request: SurveyRequest = REQUEST) -> None:
        self._surveyor, self._stop, self.measured = Surveyor(request, os.environ), stop, list[int]()

    def run(self, tasks: Iterable[Task]) -> Iterator[int]:
        """Measure one batch after another."""
        for number, path, batch in tasks:
            if number == self._stop:
                raise KeyboardInterrupt
            if not path.exists():
                save(path, *batch_as_stored(self._surveyor.measure(number, batch)))
                self.measured.append(number)
            yield number


def begun(directory: Path, *, resumes: bool = False, keeps_batches: bool = False) -> Checkpoint:
    return Checkpoint.begin(
        directory, {"window": None}, resumes=resumes, force=False, keeps_batches=keeps_batches
    )


def surveyed(
    workers: Any,
    checkpoint: Checkpoint,
    texts: Iterable[Document] | None = None,
    request: SurveyRequest = REQUEST,
) -> Surveyed:
    layout = Surveyor(request, os.environ).layout
    return run_survey(documents() if texts is None else texts, layout, workers, checkpoint, 3, lambda _: None)


def fingerprint(found: Surveyed) -> tuple[Any, ...]:
    """Everything that was found, to the last bit."""
    arrays, about = found.totals.state()
    return (
        {name: numbers.tobytes() for name, numbers in arrays.items()},
        json.dumps(about),
        found.documents,
        found.tokens,
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    return fingerprint(surveyed(Here(), begun(tmp_path_factory.mktemp("alone") / "partial")))


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 8])
def test_any_number_of_processes_finds_the_same_bytes(
    count: int, alone: tuple[Any, ...], tmp_path: Path
) -> None:
    processes = Processes(count, REQUEST, dict(os.environ))
    assert fingerprint(surveyed(processes, begun(tmp_path / "partial"))) == alone


@pytest.mark.parametrize(("stop", "pause"), [(0, 0.0), (1, 0.0), (3, 0.0), (3, 1e9)])
def test_an_interrupted_survey_goes_on_and_ends_with_the_same_bytes(
    stop: int, pause: float, alone: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_SAVE_EVERY", pause)
    with pytest.raises(KeyboardInterrupt):
        surveyed(Here(stop), begun(tmp_path / "partial"))
    again = Here()
    assert fingerprint(surveyed(again, begun(tmp_path / "partial", resumes=True))) == alone
    assert again.measured == list(range(stop, BATCHES))  # nothing twice


def test_the_files_of_batches_go_when_the_sums_include_them(tmp_path: Path) -> None:
    for keeps in (False, True):
        checkpoint = begun(tmp_path / f"{keeps}", keeps_batches=keeps)
        surveyed(Here(), checkpoint)
        assert len(list(checkpoint.directory.glob("batch-*"))) == (BATCHES if keeps else 0)
        assert [result.number for result in checkpoint.batches()] == (list(range(BATCHES)) if keeps else [])


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(alone: tuple[Any, ...], tmp_path: Path) -> None:
    killed = list[int]()

    def given() -> Iterator[Document]:
        """All documents; meanwhile a worker is killed, when all of them have been started."""
        for line, document in enumerate(documents()):
            if line > 70 and not killed:
                killed.append(wait_for_worker())
                os.kill(killed[0], signal.SIGKILL)
            yield document

    processes = Processes(1, REQUEST, dict(os.environ))
    assert fingerprint(surveyed(processes, begun(tmp_path / "partial"), given())) == alone
    assert len(killed) == 1


def wait_for_worker() -> int:
    """The number of a worker process, when there is one."""
    while not multiprocessing.active_children():
        time.sleep(0.05)
    return int(multiprocessing.active_children()[0].pid or 0)


@pytest.mark.slow
def test_workers_that_end_again_and_again_end_the_survey(tmp_path: Path) -> None:
    is_over = threading.Event()

    def kill() -> None:
        while not is_over.wait(0.2):
            for child in multiprocessing.active_children():
                child.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(AttnError) as raised:
            surveyed(Processes(1, REQUEST, dict(os.environ)), begun(tmp_path / "partial"))
    finally:
        is_over.set()
        killer.join()
    assert raised.value.problem == "a worker process ended 3 times at the same documents"
    assert raised.value.hint == "fewer --workers if memory is short; --resume goes on"


@pytest.mark.slow
def test_workers_end_when_the_process_that_started_them_is_killed(tmp_path: Path) -> None:
    code = f"""
import os, sys
from pathlib import Path
from tests.survey.running.test_running import REQUEST, begun, documents, surveyed
from attn_cli.survey.running.pool import Processes
if __name__ == "__main__":
    checkpoint = begun(Path({str(tmp_path)!r}) / "partial")
    surveyed(Processes(1, REQUEST, dict(os.environ)), checkpoint, documents(10**6))
"""
    script = tmp_path / "script.py"
    script.write_text(code, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    process = subprocess.Popen([sys.executable, script], env=environment)
    while not (tmp_path / "partial" / "batch-0000001.npz").exists() and process.poll() is None:
        time.sleep(0.05)
    children = workers_of(process.pid)
    assert children
    process.kill()
    process.wait()
    while any(is_alive(child) for child in children):
        time.sleep(0.05)  # without end if a worker stays


def workers_of(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii")
    return [int(word) for word in listed.split()]


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_settings_of_threads_are_those_of_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with pool.one_thread_each():
        assert (os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]) == ("1", "1")
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ


def test_an_interrupted_survey_is_not_overwritten_unasked(tmp_path: Path) -> None:
    begun(tmp_path / "partial")
    with pytest.raises(UsageError) as raised:
        begun(tmp_path / "partial")
    assert raised.value.problem == f"an interrupted survey is in {tmp_path}/partial"
    assert raised.value.hint == "--resume to go on with it, --force to start anew"


def test_a_survey_goes_on_only_with_the_same_options_and_files(tmp_path: Path) -> None:
    begun(tmp_path / "partial")
    with pytest.raises(UsageError) as raised:
        Checkpoint.begin(
            tmp_path / "partial", {"window": 256}, resumes=True, force=False, keeps_batches=False
        )
    problem = f"{tmp_path}/partial is of another survey: window was null and is 256"
    assert raised.value.problem == problem


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_a_damaged_file_of_an_interrupted_survey_is_named(content: bytes, tmp_path: Path) -> None:
    checkpoint = begun(tmp_path / "partial")
    (checkpoint.directory / "totals.npz").write_bytes(content)
    with pytest.raises(AttnError) as raised:
        surveyed(Here(), begun(tmp_path / "partial", resumes=True))
    assert raised.value.problem == f"damaged file of an interrupted survey: {tmp_path}/partial/totals.npz"


def test_a_directory_without_a_survey_is_named(tmp_path: Path) -> None:
    (tmp_path / "partial").mkdir()
    with pytest.raises(AttnError, match="no survey that can go on"):
        begun(tmp_path / "partial", resumes=True)
