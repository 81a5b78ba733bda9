"""JSON objects that commands print, checked against the schema."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema

from attn_cli.show import data
from tests.support.worlds import attn

Model: TypeAlias = Callable[..., None]
"""The fixture `model`: makes commands read a model with the sinks that it is given, one or None per layer."""


def document(*words: str | Path) -> dict[str, Any]:
    """The JSON object of a command, which fits the schema."""
    answer = attn(*words, "--json").document
    jsonschema.Draft202012Validator(json.loads(data.schema())).validate(answer)
    return answer
