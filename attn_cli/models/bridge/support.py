"""How well the bridge supports each model type, as measured.

`support.json` is written by `python -m tests.support.every_type`: it builds a small random model of each type
in transformers, reads a text as a command would, and compares every layer and head with eager attention.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attn_cli.record import record

FILE = Path(__file__).with_name("support.json")
"""The measured support."""


@record(frozen=True, slots=True)
class TypeSupport:
    """A model type, how it is supported, and if it is not, why."""

    type: str
    served: str  # native; bridge: every step; fallback: logits and weights only; refused; untried
    why: str = ""


@record(frozen=True, slots=True)
class MeasuredSupport:
    """Every model type, and the version of transformers it was measured with."""

    transformers: str
    families: tuple[TypeSupport, ...]


def read_support() -> MeasuredSupport:
    """Read the measured support of every model type, sorted by name; no model is built."""
    record: Mapping[str, Any] = json.loads(FILE.read_text("utf-8"))
    types = record["types"]
    return MeasuredSupport(
        record["transformers"], tuple(TypeSupport(kind, *types[kind]) for kind in sorted(types))
    )
