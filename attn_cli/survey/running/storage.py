"""Arrays and facts as one file, written whole or not at all, and read back without running anything."""

import io
import json
import secrets
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from attn_cli.errors import AttnError
from attn_cli.survey.records import BatchResult, Layout, Measured, Passage, Unread
from attn_cli.unfinished import temporary
from attn_cli.vocabulary import Kind, Metric, Pattern

_ABOUT = "about"
_OF_MEASURED = ("values", "rows", "shares", "best", "peaks")

Stored = tuple[dict[str, Any], Any]
"""Arrays by their names, and what JSON can hold."""


def save(path: Path, arrays: Mapping[str, Any], about: object) -> None:
    """Write a file; whoever reads it sees all of it or the one before.

    Raises:
        OSError: the disk is full, or the directory is gone.
    """
    buffer = io.BytesIO()
    encoded = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(buffer, allow_pickle=False, **{_ABOUT: encoded}, **arrays)
    with temporary(path.with_name(f".{path.name}-{secrets.token_hex(4)}")) as unnamed:
        unnamed.write_bytes(buffer.getbuffer())
        unnamed.replace(path)


def load(path: Path) -> Stored:
    """What `save` wrote.

    Raises:
        AttnError: the file is damaged.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = dict(file)
        return arrays, json.loads(arrays.pop(_ABOUT).tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise AttnError(f"damaged file of an interrupted survey: {path}", "--force to start anew") from error


def batch_as_stored(result: BatchResult) -> Stored:
    """A batch as arrays (documents, ...) and facts."""
    arrays = {
        name: np.stack([getattr(one, name) for one in result.measured])
        for name in _OF_MEASURED
        if result.measured
    }
    about = {
        "number": result.number,
        "tokens": result.tokens,
        "passages": [asdict(one.passage) for one in result.measured],
        "unread": [asdict(one) for one in result.unread],
        "documents": result.documents,
        "layout": None if result.layout is None else layout_as_json(result.layout),
    }
    return arrays, about


def stored_as_batch(stored: Stored) -> BatchResult:
    """The batch that `batch_as_stored` stored."""
    arrays, about = stored
    passages = [Passage(**passage) for passage in about["passages"]]
    measured = [
        Measured(passage, *(arrays[name][index] for name in _OF_MEASURED))
        for index, passage in enumerate(passages)
    ]
    unread = [Unread(**one) for one in about["unread"]]
    layout = None if about["layout"] is None else layout_of_json(about["layout"])
    return BatchResult(about["number"], about["documents"], measured, unread, about["tokens"], layout)


def layout_as_json(layout: Layout) -> dict[str, Any]:
    """The layout, as JSON can hold it."""
    return {
        "kind": str(layout.kind),
        "places": [list(place) for place in layout.places],
        "metrics": [str(metric) for metric in layout.metrics],
        "patterns": [str(pattern) for pattern in layout.patterns],
    }


def layout_of_json(found: Mapping[str, Any]) -> Layout:
    """The layout that `layout_as_json` gave."""
    return Layout(
        Kind(found["kind"]),
        tuple((layer, head) for layer, head in found["places"]),
        tuple(map(Metric, found["metrics"])),
        tuple(map(Pattern, found["patterns"])),
    )
