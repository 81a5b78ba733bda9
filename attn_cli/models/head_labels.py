"""What a model's heads are known for, read from the `attn.json` that `attn train` writes."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from attn_cli.errors import AttnError
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.record import record
from attn_cli.shares import PatternShare
from attn_cli.vocabulary import Kind, Pattern

FILE = "attn.json"

_Parsed = TypeVar("_Parsed")
_REMOVE = f"remove the file: the model works without {FILE}"


@record(frozen=True, slots=True)
class HeadLabel:
    """A head and the pattern it is known for."""

    layer: int
    head: int
    pattern: Pattern
    score: float  # 0 to 1: mean weight on the tokens of the pattern
    kind: Kind = Kind.SELF

    @property
    def name(self) -> str:
        """`LAYER.HEAD`, as in `--heads`."""
        return f"{self.layer}.{self.head}"


def read_head_labels(directory: Path, layers: int, heads: int) -> tuple[HeadLabel, ...]:
    """The heads of the model in `directory` with a known pattern, the highest score first.

    Empty if there is no file; `layers` and `heads` are the size of the model, which the file must match.

    Raises:
        AttnError: the file is damaged.
    """
    path, labels = _read(directory, parse_head_labels)
    for label in labels or ():
        if not (0 <= label.layer < layers and 0 <= label.head < heads and 0 <= label.score <= 1):
            problem = f"{path} does not match the model: head {label.name} with a score of {label.score:g}"
            raise AttnError(problem, _REMOVE)
    return labels or ()


def read_head_shares(directory: Path) -> dict[tuple[int, int], tuple[PatternShare, ...]] | None:
    """The patterns of each head of the model in `directory`, by layer and head, measured by `attn train`.

    None if there is no file. Files of older versions have one pattern per head, and no number of rows.

    Raises:
        AttnError: the file is damaged.
    """
    return _read(directory, _parse_shares)[1]


def _read(directory: Path, parse: Callable[[Any], _Parsed]) -> tuple[Path, _Parsed | None]:
    """The path of the file, and what `parse` makes of its list `heads`; None if there is no file.

    Raises:
        AttnError: the file is damaged.
    """
    path = checked_path(directory, FILE, LARGEST_TEXT)
    if not path.is_file():
        return path, None
    try:
        return path, parse(json.loads(path.read_text("utf-8"))["heads"])
    except (OSError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise AttnError(f"{path} is damaged: {error}", _REMOVE) from error


def _parse_shares(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[int, int], tuple[PatternShare, ...]]:
    """The patterns of each head in the list `heads` of the file."""
    return {(int(entry["layer"]), int(entry["head"])): tuple(_shares_of(entry)) for entry in entries}


def _shares_of(entry: Mapping[str, Any]) -> Iterator[PatternShare]:
    if "patterns" in entry:
        for share in entry["patterns"]:
            yield PatternShare(Pattern(share["name"]), _checked(float(share["share"])), int(share["rows"]))
    elif entry["pattern"] is not None:
        yield PatternShare(Pattern(entry["pattern"]), _checked(float(entry["score"])), None)


def _checked(share: float) -> float:
    """The share; `ValueError` if it is not from 0 to 1."""
    if not 0 <= share <= 1:
        raise ValueError(f"a share of {share:g}")
    return share


def parse_head_labels(entries: Iterable[Mapping[str, Any]]) -> tuple[HeadLabel, ...]:
    """Parse the list `heads` of the file; heads without a pattern are skipped.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: an entry is damaged.
    """
    labels = [
        HeadLabel(int(entry["layer"]), int(entry["head"]), Pattern(entry["pattern"]), float(entry["score"]))
        for entry in entries
        if entry["pattern"] is not None
    ]
    return tuple(sorted(labels, key=lambda label: -label.score))
