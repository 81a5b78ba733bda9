"""A case: one hostile input of a kind, the command line that meets it, and how it has to end."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

from tests.hostile.processes import Ended, Line
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.local_hub import Hub, serving
from tests.support.twins import RECIPES

TEXT = "the cat sat"
MOST_SECONDS = 30.0  # of a processor that may be busy and slow: 5 are meant, and few cases take 1
MOST_MEMORY = 600_000  # kB
MOST_READ = 100_000  # bytes of a result, which may have 100 MB
MOST_SAID = 1_000  # characters of a line
_RECIPES = {**RECIPES, **FAMILIES, **TRANSLATORS}


class Place:
    """A folder for one case, and small checkpoints that it may damage."""

    def __init__(self, folder: Path, twins: Path) -> None:
        self.folder, self._twins = folder, twins
        self.kept: dict[str, bytes] = {}  # files of the folder that have to stay as they are
        self.hubs: list[Hub] = []
        self._open = ExitStack()

    def twin(self, name: str, **changes: Any) -> Path:
        """A small checkpoint of its own, with other values in its config."""
        kept = self._twins / name
        if not kept.exists():
            _RECIPES[name].save(kept)
        directory = self.folder / "model"
        shutil.copytree(kept, directory)
        self.configured(directory, **changes)
        return directory

    def hub(self, files: dict[str, bytes], **answers: Any) -> Hub:
        """A hub with these files, which answers so until the place is left."""
        self.hubs.append(self._open.enter_context(serving(Hub(files, **answers))))
        return self.hubs[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def changed(self) -> list[str]:
        """Files that were to stay as they are, and did not."""
        return [name for name, content in self.kept.items() if (self.folder / name).read_bytes() != content]

    @staticmethod
    def configured(directory: Path, **changes: Any) -> None:
        """Change values of a config."""
        path = directory / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def file(self, name: str, content: bytes | str = b"") -> Path:
        """A file with this content."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


Build: TypeAlias = Callable[[Place], Line]


def line(*words: str, files: Mapping[str, str] | None = None, **around: Any) -> Build:
    """A command line, with these files in its folder, and what else stands around it."""

    def build(place: Place) -> Line:
        for name, content in (files or {}).items():
            place.file(name, content)
        return Line(words, **around)

    return build


@dataclass(frozen=True)
class Case:
    """An input, by its kind and its name, and how `attn` has to end."""

    kind: str
    name: str
    build: Build
    says: str  # a regular expression in what is said: of the error, or of the result
    status: int = 1
    hides: str = ""  # what must not be said

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"

    def faults(self, ended: Ended, place: Place) -> list[str]:
        """What is not as it should be: the status, what is said, the time, the memory, other files."""
        checks = {
            f"status {ended.status} instead of {self.status}": ended.status == self.status,
            f"{ended.seconds:.1f} s of a processor": ended.seconds <= MOST_SECONDS,
            f"{ended.peak / 1000:.0f} MB": ended.peak <= MOST_MEMORY,
            "it says what it must not say": not self._tells(ended),
        }
        found = [fault for fault, is_right in checks.items() if not is_right]
        return [*found, *(f"{name} was changed" for name in place.changed), *self._said(ended)]

    def _tells(self, ended: Ended) -> bool:
        """Whether it says what it must not say."""
        return bool(self.hides) and self.hides.encode() in ended.out + ended.err

    def _said(self, ended: Ended) -> Iterator[str]:
        """What is not as it should be in the output, and in the two lines of an error."""
        streams = ended.out[:MOST_READ], ended.err
        out, lines = (stream.decode("utf-8", "backslashreplace") for stream in streams)
        told = lines.splitlines()
        if self.status and (out or [line.partition(": ")[0] for line in told] != ["attn", "try"]):
            yield f"not two lines: {out[:100]!r}, {told[:4]}"
        said = lines.partition("\n")[0] if self.status else out
        if not re.search(self.says, said):
            yield f"{self.says!r} is not in {said[:200]!r}"
        if max(map(len, told), default=0) > MOST_SAID:
            yield f"a line of {max(map(len, told)):,} characters"
        if any(not (letter.isprintable() or letter in "\n\t") for letter in out + lines):
            yield "control characters"
