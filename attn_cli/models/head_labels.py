"""What is known of a model's heads: `attn train` measures it, and `attn.json` beside the weights tells it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attn_cli.errors import AttnError
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.record import record
from attn_cli.vocabulary import Kind, Pattern

FILE = "attn.json"

_REMOVE = f"remove it: the model can do without {FILE}"


@record(frozen=True, slots=True)
class HeadLabel:
    """A head and what it is known for."""

    layer: int
    head: int
    pattern: Pattern
    score: float  # 0 to 1: the mean weight on the tokens of the pattern
    kind: Kind = Kind.SELF

    @property
    def name(self) -> str:
        """`LAYER.HEAD`, as a person selects it."""
        return f"{self.layer}.{self.head}"


def read_head_labels(directory: Path, layers: int, heads: int) -> tuple[HeadLabel, ...]:
    """The heads of the model in `directory` that are known for something, the clearest first.

    Empty where there is no file; `layers` and `heads` are the size of the model that it must fit.

    Raises:
        AttnError: the file is damaged.
    """
    path = checked_path(directory, FILE, LARGEST_TEXT)
    if not path.is_file():
        return ()
    try:
        known = head_labels_in(json.loads(path.read_text("utf-8"))["heads"])
    except (OSError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise AttnError(f"{path} is damaged: {error}", _REMOVE) from error
    for each in known:
        if not (0 <= each.layer < layers and 0 <= each.head < heads and 0 <= each.score <= 1):
            problem = f"{path} does not fit the model: head {each.name} with a score of {each.score:g}"
            raise AttnError(problem, _REMOVE)
    return known


def head_labels_in(entries: Iterable[Mapping[str, Any]]) -> tuple[HeadLabel, ...]:
    """The heads out of the list `heads` of the file.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: an entry is damaged.
    """
    found = [
        HeadLabel(int(each["layer"]), int(each["head"]), Pattern(each["pattern"]), float(each["score"]))
        for each in entries
        if each["pattern"] is not None
    ]
    return tuple(sorted(found, key=lambda known: -known.score))
