"""What determines the results of a survey: an interrupted one goes on only if all of it is the same."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attn_cli import __version__
from attn_cli.models.hub.origin import weight_files_of
from attn_cli.models.source import Source
from attn_cli.survey.inputs.files import state_of
from attn_cli.survey.inputs.per import Per
from attn_cli.survey.records import SurveyRequest


def manifest_of(
    request: SurveyRequest, source: Source, files: Sequence[Path], field: str | None, per: Per, examples: int
) -> dict[str, Any]:
    """What must be the same for a survey to go on, as JSON gives it back."""
    from importlib.metadata import version  # 2 ms

    found = {
        "attn": __version__,
        "libraries": {name: version(name) for name in ("numpy", "tokenizers", "torch", "transformers")},
        "model": asdict(source.card),
        "weights": [[str(path), state_of(path)] for path in weight_files_of(source.weight_paths)],
        "options": asdict(request),
        "field": field,
        "per": per,
        "examples": examples,
        "files": [[str(path), state_of(path)] for path in files],
    }
    return dict(json.loads(json.dumps(found)))
