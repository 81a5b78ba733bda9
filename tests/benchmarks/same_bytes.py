"""Checks that two installs of attn give the same bytes: status, output, remarks and files, line by line.

    python -m tests.benchmarks.same_bytes BEFORE AFTER [--models DIR...] [--keep FOLDER] [--only WORDS]

BEFORE and AFTER are an `attn`, a Python that has it, or a checkout. A checkout uses the libraries of the
other install, and two checkouts those of the current Python, so that numbers differ only if the code does
(numba, if installed, rounds differently). Most lines run in one process per install (`line_runner`), a few
in separate processes. --keep saves everything in FOLDER, and results of the same BEFORE are reused. Prints
one line per difference, and their count; the exit status is 1 if something differs.

Pictures contain no times, and members of .npz are all dated 1980, so the comparison ignores only the name
of the folder where a line ran, and the duration of training.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from tests.benchmarks.command_lines import LONG, PART, Line, lines

SAMPLES = Path(__file__).parents[2] / "sample_inputs"
RUNNER = Path(__file__).with_name("line_runner.py")
UP = "../../.."  # from where a line runs to the folder of everything
_SHOWN = 160  # characters of a line that differs
_DURATION = re.compile(rb'(steps, \d+ tokens, (?:in )?|^ "seconds": )[\d:.]+', re.MULTILINE)
_WORDS = 300  # fewer than 512 tokens


@dataclass(frozen=True, slots=True)
class Install:
    """An attn: the Python that runs it, and the checkout to use instead of the installed package."""

    python: Path
    checkout: Path | None = None

    def environment(self, folder: Path) -> dict[str, str]:
        """The environment of its lines, with one thread, as more could round differently."""
        names = ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR")
        plain = {name: os.environ[name] for name in names if name in os.environ}
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        fixed = {"LANG": "C.UTF-8", "COLUMNS": "80", "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub")}
        tree = {} if self.checkout is None else {"PYTHONPATH": str(self.checkout)}
        return plain | threads | fixed | tree | {"PYTHONDONTWRITEBYTECODE": "1"}

    def source(self, folder: Path) -> str:
        """The directory of its code."""
        command: list[str | Path] = [self.python, "-P", "-c", "import attn_cli; print(attn_cli.__file__)"]
        return subprocess.check_output(command, env=self.environment(folder), cwd=folder, text=True).strip()


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between two runs of a line."""

    line: Line
    what: str  # status, stdout, stderr or a file's name
    where: str

    def __str__(self) -> str:
        return f"{self.line}\n    {self.what}: {self.where}"


def main() -> None:
    """Run the missing lines, compare, and report."""
    given = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        every = prepared(folder, given.models)
        chosen = [line for line in every if all(word in str(line) for word in given.only.split())]
        installs = {"before": install(given.before, given.after), "after": install(given.after, given.before)}
        sources = {name: one.source(folder) for name, one in installs.items()}
        print("\n".join(f"{name}: {source}" for name, source in sources.items()), flush=True)
        shutil.rmtree(folder / "after", ignore_errors=True)
        forget_others(folder, installs["before"])
        run_all(installs, chosen, folder, given.jobs)
        found = [difference for line in chosen for difference in differences(line, folder)]
        files = sum(len(files_of(folder / "before" / line.name / "files")) for line in chosen)
    print(*found, sep="\n")
    what = "all the same" if not found else f"{len(found)} differences"
    print(f"{len(chosen)} runs, {files} files: {what}")
    sys.exit(bool(found))


def arguments() -> argparse.Namespace:
    """The parsed arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--models", type=Path, nargs="*", default=[], metavar="DIR")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes of each install")
    parser.add_argument("--only", default="", metavar="WORDS", help="only lines with each of these words")
    return parser.parse_args()


def install(path: Path, other: Path) -> Install:
    """The attn at `path`."""
    if path.is_dir():
        return Install(
            Path(sys.executable) if other.is_dir() else install(other, path).python, path.resolve()
        )
    python = path if path.name.startswith("python") else path.with_name("python")
    return Install(python.absolute())  # not resolved: a virtual environment's python is a link


def prepared(folder: Path, models: Sequence[Path]) -> list[Line]:
    """Put texts, models and a cache into `folder`; returns the lines that read them."""
    for name in ("samples", "models", "hub"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir()
    for path in SAMPLES.glob("*.txt"):
        shutil.copy(path, folder / "samples")
    words = (SAMPLES / f"{LONG}.txt").read_text("utf-8").split()
    (folder / "samples" / f"{PART}.txt").write_text(" ".join(words[:_WORDS]), "utf-8")
    samples = [f"{UP}/samples/{path.name}" for path in sorted((folder / "samples").iterdir())]
    directories = {}
    for model in models:
        (folder / "models" / model.name).symlink_to(model.resolve())
        directories[f"{UP}/models/{model.name}"] = model
    for model in models[:1]:
        cached = folder / "hub" / "hub" / "models--org--cached"
        (cached / "refs").mkdir(parents=True)
        (cached / "refs" / "main").write_text("0123abc")
        (cached / "snapshots").mkdir()
        (cached / "snapshots" / "0123abc").symlink_to(model.resolve())
    return lines(directories, samples)


def forget_others(folder: Path, before: Install) -> None:
    """Keep only results of this install of BEFORE: the libraries of another may round differently."""
    (folder / "before").mkdir(exist_ok=True)
    record = folder / "before" / "install"
    if not record.exists() or record.read_text("utf-8") != str(before):
        shutil.rmtree(folder / "before")
        (folder / "before").mkdir()
        record.write_text(str(before), "utf-8")


def run_all(installs: dict[str, Install], every: Sequence[Line], folder: Path, jobs: int) -> None:
    """Run the lines of both installs in parallel, with `jobs` runners each."""
    with tempfile.TemporaryDirectory() as temporary:
        runners = []
        processes = []
        for name, one in installs.items():
            missing = [line for line in every if not (folder / name / line.name / "status").exists()]
            for line in missing:  # half a line of a run that was interrupted
                shutil.rmtree(folder / name / line.name, ignore_errors=True)
            together = [line for line in missing if not line.is_process]
            for job in range(jobs):
                listing = Path(temporary) / f"{name}-{job}.json"
                shared = [asdict(line) | {"name": line.name} for line in together[job::jobs]]
                listing.write_text(json.dumps(shared), "utf-8")
                runners.append(runner(one, listing, folder / name, one.environment(folder)))
            processes += [(one, line, folder / name) for line in missing if line.is_process]
        for one, line, place in processes:
            run_process(one, line, folder, place / line.name)
        statuses = [process.wait() for process in runners]
        if any(statuses):
            sys.exit("a runner ended before its lines did")


def runner(
    one: Install, listing: Path, place: Path, environment: dict[str, str]
) -> "subprocess.Popen[bytes]":
    """Start a process that runs the lines of `listing`."""
    command: list[str | Path] = [one.python, "-P", RUNNER, listing, place]
    return subprocess.Popen(command, env=environment)


def run_process(one: Install, line: Line, folder: Path, place: Path) -> None:
    """Run one line as a process, and save its results in `place` as `line_runner` does."""
    (place / "files").mkdir(parents=True)
    ended = subprocess.run(
        [one.python, "-P", "-m", "attn_cli", *line.arguments],
        input=line.stdin.encode(),
        env=one.environment(folder) | dict(line.environment),
        cwd=place / "files",
        capture_output=True,
        check=False,
    )
    (place / "stdout").write_bytes(ended.stdout)
    (place / "stderr").write_bytes(ended.stderr)
    (place / "status").write_text(str(ended.returncode), "utf-8")


def differences(line: Line, folder: Path) -> Iterator[Difference]:
    """All differences between the runs of a line with BEFORE and AFTER."""
    before, after = folder / "before" / line.name, folder / "after" / line.name
    for name in ("status", "stdout", "stderr"):
        contents = content(before, before / name), content(after, after / name)
        if contents[0] != contents[1]:
            yield Difference(line, name, first(*contents))
    ours, theirs = (files_of(place / "files") for place in (before, after))
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs or name not in ours:
            yield Difference(line, name, f"only {'before' if name in ours else 'after'}")
            continue
        contents = content(before, ours[name]), content(after, theirs[name])
        if contents[0] != contents[1]:
            yield Difference(line, name, in_archive(ours[name], theirs[name]) or first(*contents))


def files_of(directory: Path) -> dict[str, Path]:
    """All files in the folder, by relative path."""
    return {str(path.relative_to(directory)): path for path in directory.rglob("*") if path.is_file()}


def content(place: Path, path: Path) -> bytes:
    """The bytes of a file, without the folder where the line ran and the training time."""
    return _DURATION.sub(rb"\1", path.read_bytes().replace(str(place.parent).encode(), b"FOLDER"))


def in_archive(before: Path, after: Path) -> str:
    """The members of an .npz that differ."""
    try:
        with ZipFile(before) as ours, ZipFile(after) as theirs:
            members = sorted(set(ours.namelist()) | set(theirs.namelist()))
            found = [
                name
                for name in members
                if name not in ours.namelist()
                or name not in theirs.namelist()
                or ours.read(name) != theirs.read(name)
            ]
    except BadZipFile:
        return ""
    return f"members {', '.join(found) or 'the same, their times or order not'}"


def first(before: bytes, after: bytes) -> str:
    """The first line that differs, from before and from after."""
    ours, theirs = before.split(b"\n"), after.split(b"\n")
    number = next(
        (place for place, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]),
        min(len(ours), len(theirs)),
    )
    texts = [one[number] if number < len(one) else b"(ended)" for one in (ours, theirs)]
    place = next((at for at, pair in enumerate(zip(*texts, strict=False)) if pair[0] != pair[1]), 0)
    start = max(0, place - _SHOWN // 2)
    shown = [repr(text[start : start + _SHOWN])[1:] for text in texts]
    return f"line {number + 1}\n      - {shown[0]}\n      + {shown[1]}"


if __name__ == "__main__":
    main()
