"""How well the bridge serves each model type, as measured.

`support.json` is written by `python -m tests.support.every_type`, which makes a small random model of each
type that transformers has, reads it as a command would, and compares every layer and head with eager
attention.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attn_cli.record import record

FILE = Path(__file__).with_name("support.json")
"""What was measured."""


@record(frozen=True, slots=True)
class TypeSupport:
    """A model type, how it is served, and why not where it is not."""

    type: str
    served: str  # native, bridge: every step, fallback: logits and weights, refused, untried
    why: str = ""


@record(frozen=True, slots=True)
class MeasuredSupport:
    """Every model type, and with which version of transformers it was measured."""

    transformers: str
    families: tuple[TypeSupport, ...]


def read_support() -> MeasuredSupport:
    """What was measured of every model type, by its name; nothing is built for it."""
    record: Mapping[str, Any] = json.loads(FILE.read_text("utf-8"))
    types = record["types"]
    return MeasuredSupport(
        record["transformers"], tuple(TypeSupport(kind, *types[kind]) for kind in sorted(types))
    )
