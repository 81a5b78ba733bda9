"""How every model type is served: by a file of our own, or through the bridge as it was measured.

`support.json` is written by `python -m tests.support.every_type`, which makes a small random model of each
type that transformers has, reads it as a command would, and compares every layer and head with eager
attention.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attn_cli.models.native.families import native_types

FILE = Path(__file__).with_name("support.json")
"""What was measured."""


@dataclass(frozen=True, slots=True)
class Family:
    """A model type, how it is served, and why not where it is not."""

    type: str
    served: str  # native, bridge: every step, fallback: logits and weights, refused, untried
    why: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """Every model type, and with which version of transformers those that are not ours were measured."""

    transformers: str
    families: tuple[Family, ...]


def measured() -> Measured:
    """What is known of every model type; nothing is built for it."""
    record: Mapping[str, Any] = json.loads(FILE.read_text("utf-8"))
    found = {kind: Family(kind, *each) for kind, each in record["types"].items()}
    found |= {kind: Family(kind, "native") for kind in native_types() if kind in found}
    return Measured(record["transformers"], tuple(found[kind] for kind in sorted(found)))
