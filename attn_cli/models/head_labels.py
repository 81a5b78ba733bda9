"""What a model's heads are known for, read from the `attn.json` that `attn train` writes."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attn_cli.errors import AttnError
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.record import record
from attn_cli.vocabulary import Kind, Pattern

FILE = "attn.json"

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
    path = checked_path(directory, FILE, LARGEST_TEXT)
    if not path.is_file():
        return ()
    try:
        labels = parse_head_labels(json.loads(path.read_text("utf-8"))["heads"])
    except (OSError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise AttnError(f"{path} is damaged: {error}", _REMOVE) from error
    for label in labels:
        if not (0 <= label.layer < layers and 0 <= label.head < heads and 0 <= label.score <= 1):
            problem = f"{path} does not match the model: head {label.name} with a score of {label.score:g}"
            raise AttnError(problem, _REMOVE)
    return labels


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
