"""The metadata of a page: the model, the texts, the kinds of attention and their metrics, as one object."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from attn_cli.answers.report import ExactHead, Report, ReportedEffects, ReportedKind, ReportText, WholeRows
from attn_cli.answers.shaded_text import Piece
from attn_cli.grid import Sink
from attn_cli.safe_text import label, printable
from attn_cli.shares import PatternShare
from attn_cli.show.data import computed_scale
from attn_cli.show.page.payload import PackedKind
from attn_cli.vocabulary import Metric, Step

FORMAT = 1
"""The number of the format that `show/page/__init__.py` describes."""

_LONGEST = 60  # characters of a label
_LONGEST_PIECE = 400  # characters of a piece of the text
_DIRECT = "direct effect"
_CHOICES = {
    "direction": ["from", "to"],
    "view": ["matrix", "lines"],
    "scale": ["common", "head", "log"],
    "overview": ["map", "scatter", "list"],
    "theme": ["", "light", "dark"],
}
"""What parts of the state may be; a page begins with the first ones."""

_BEGIN = {name: choices[0] for name, choices in _CHOICES.items()} | {
    "zoom": 1,
    "x": 0,
    "y": 0,
    "words": False,
    "pinned": None,
    "pattern": "",
    "whole": -1,
    "all": False,
}
"""How a page begins whatever its text: `state.js` explains each part."""

_DIGITS = 5  # of a metric: more than a view shows


def document_of(
    report: Report,
    origin: Mapping[str, str | None],
    kinds: Sequence[PackedKind],
    bits: int,
    error: float,
) -> dict[str, object]:
    """Everything that the page knows, except the numbers of its heads."""
    begin = kinds[0].telling
    query, key = _first_cell(kinds[0])
    effects, why = report.effects()
    notes = [*report.notes, *([f"No direct effects on the map: {why}."] if why else [])]
    hiding = report.hiding
    return {
        "page": FORMAT,
        **report.model,
        "model": {**report.model["model"], **origin},
        "again": report.again,
        "headline": [printable(phrase) for phrase in report.headline],  # a name may be any text
        "notes": [printable(note) for note in notes],
        "bits": bits,
        "error": error,
        "choices": _CHOICES,
        "begin": {
            **_BEGIN,
            "kind": 0,
            "layer": begin.layer,
            "head": begin.head,
            "query": query,
            "key": key,
            "hide": [] if hiding is None else list(hiding.keys),
            "renormalize": hiding is not None and hiding.is_renormalized,
        },
        "next": _next_token(effects, report, kinds),
        "texts": [_text(text) for text in report.texts],
        "kinds": [_kind(kind, effects) for kind in kinds],
        "metrics": _explained(kinds) | _effect_metric(effects),
        "exact": [_exact(head, entries) for kind in kinds for head, entries in kind.exact],
        "rows": [_rows(at, *one) for at, kind in enumerate(kinds) for one in kind.rows],
    }


def as_block(document: Mapping[str, object]) -> str:
    """The object as JSON that no parser of HTML takes for anything else."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))  # ASCII: U+2028 is escaped too
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def shown_label(text: str) -> str:
    """The label of a token: no longer than a view has room for."""
    return _cut(label(text), _LONGEST)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(text: ReportText) -> dict[str, object]:
    return {
        "name": text.name,
        "labels": [shown_label(one) for one in text.labels],
        "ids": list(text.ids),
        "special": list(text.special),
        "written": list(text.written),
        "pieces": [_piece(piece) for piece in text.pieces],
        "words": None
        if text.words is None
        else [[shown_label(one.label), *one.tokens] for one in text.words],
    }


def _piece(piece: Piece) -> list[object]:
    """The piece as it is shown, the positions of its tokens, and 1 for a mark of no text."""
    if not piece.tokens and not piece.is_mark:
        return [_spaced(piece.text)]
    shown = label(piece.text) if piece.is_mark else _spaced(piece.text, is_token=True)
    return [_cut(shown, _LONGEST_PIECE), list(piece.tokens), *([1] if piece.is_mark else [])]


def _spaced(text: str, *, is_token: bool = False) -> str:
    """Printable text whose lines end where they did; a token that is a line end is seen as one."""
    return "\n".join(map(printable, text.split("\n"))) if not is_token else _with_line_ends(text)


def _with_line_ends(text: str) -> str:
    return printable(text).replace("⏎", "⏎\n")


def _kind(packed: PackedKind, effects: ReportedEffects | None) -> dict[str, object]:
    kind = packed.kind
    return {
        "kind": kind.kind,
        "queries": kind.queries,
        "keys": kind.keys,
        "layers": list(kind.layers),
        "heads": kind.heads,
        "cells": list(kind.cells),
        "pool": kind.pool,
        "first": packed.first,
        "masks": list(packed.masks),
        "sinks": [int(has_sink) for has_sink in packed.sinks],
        "metric": kind.metric,
        "metrics": {**_columns(packed.metrics), **_effects_of(kind, effects)},
        "patterns": [None if share is None else _pattern(kind, share) for share in packed.patterns],
    }


def _pattern(kind: ReportedKind, share: PatternShare) -> list[object]:
    shown = f"{share.pattern} {share.share:.2f}"
    return [share.pattern, _short(share.share), shown, _measured_on(kind, share)]


def _measured_on(kind: ReportedKind, share: PatternShare) -> str:
    """The tokens that a share is of, and how many rows."""
    rows = "" if share.rows is None else f", {share.rows:,} rows"
    return f"{kind.measured_on(share.pattern)}{rows}"


def _columns(metrics: Sequence[Mapping[Metric, float | None]]) -> dict[str, list[float | None]]:
    """The value of each head, metric by metric."""
    return {metric: [_short(of_head[metric]) for of_head in metrics] for metric in metrics[0]}


def _explained(kinds: Sequence[PackedKind]) -> dict[str, list[str]]:
    """What each metric is, and its unit."""
    return {str(metric): [metric.explanation, metric.unit] for metric in _metrics(kinds)}


def _effect_metric(effects: ReportedEffects | None) -> dict[str, list[str]]:
    """What the direct effects are on; empty if there are none."""
    if effects is None:
        return {}
    what = f"what the head adds to the logit of {effects.prediction}, less the vocabulary's mean"
    return {_DIRECT: [what, "in logits"]}


def _next_token(
    effects: ReportedEffects | None, report: Report, kinds: Sequence[PackedKind]
) -> dict[str, object] | None:
    """The likeliest token after the last text, and the first kind with its row; None without such a row.

    `to` has for each kind the head that adds most to it, and the key that this head looks at most from there.
    """
    last = len(report.texts) - 1
    predicting = [at for at, kind in enumerate(report.kinds) if kind.queries == last]
    if effects is None or not predicting:
        return None
    return {
        "token": effects.next_token,
        "kind": predicting[0],
        "to": [_adding_most(kind, effects) for kind in kinds],
    }


def _adding_most(packed: PackedKind, effects: ReportedEffects) -> dict[str, int]:
    """The head that adds most to the likeliest token, and its key; empty if none of this kind adds to it."""
    places = [(layer, head) for layer in packed.kind.layers for head in range(packed.kind.heads)]
    direct = [effects.direct.get((packed.kind.kind, *place)) for place in places]
    known = [(value, -index) for index, value in enumerate(direct) if value is not None]
    if not known:
        return {}
    index = -max(known)[1]
    layer, head = places[index]
    return {"layer": layer, "head": head, "key": packed.last_keys[index]}


def _effects_of(kind: ReportedKind, effects: ReportedEffects | None) -> dict[str, list[float | None]]:
    """The direct effect of each head; empty if those of this kind have none."""
    if effects is None or not any(place[0] is kind.kind for place in effects.direct):
        return {}
    places = [(kind.kind, layer, head) for layer in kind.layers for head in range(kind.heads)]
    return {_DIRECT: [_short(effects.direct.get(place)) for place in places]}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")


def _metrics(kinds: Sequence[PackedKind]) -> Iterator[Metric]:
    measured = {metric for kind in kinds for metric in kind.metrics[0]}
    return (metric for metric in Metric if metric in measured)


def _exact(exact: ExactHead, entries: Mapping[Step, int]) -> dict[str, Any]:
    head = exact.head
    return {
        "kind": head.kind,
        "layer": head.layer,
        "head": head.head,
        "kv_head": head.kv_head,
        "scale": None if head.scale is None else computed_scale(head.scale, *head.steps.values()),
        "softcap": exact.softcap,
        "sink": None if head.sink is None else _sink(head.sink),
        "absent": dict(head.absent),
        "lacks": " ".join(f"No {step}: {why}." for step, why in _lacked(exact)),
        "steps": {step: [entry, *head.steps[step].shape] for step, entry in entries.items()},
    }


def _lacked(exact: ExactHead) -> Iterator[tuple[str, str]]:
    """The steps that are not known, and why; a layer that adds no bias lacks nothing."""
    head = exact.head
    return (
        (step, why) for step, why in head.absent.items() if step != Step.BIAS or Step.SCORES not in head.steps
    )


def _first_cell(packed: PackedKind) -> tuple[int, int]:
    """The query and the key that a page begins with: of a whole row that was kept, or the clearest."""
    place = packed.telling.layer, packed.telling.head
    rows = next((rows for rows, _ in packed.rows if (rows.layer, rows.head) == place), None)
    if rows is None or np.isnan(rows.weights[0]).all():
        return packed.telling.clearest()
    high, wide = packed.kind.cells
    return rows.queries[0] // high, int(np.nanargmax(rows.weights[0])) // wide


def _rows(kind: int, rows: WholeRows, entry: int) -> dict[str, object]:
    place = {"kind": kind, "layer": rows.layer, "head": rows.head}
    return {**place, "entry": entry, "queries": list(rows.queries), "sink": rows.sink is not None}


def _sink(sink: Sink) -> dict[str, Any]:
    """The logit, of each row if it depends on the query, and the weight that it takes of each."""
    return {"logit": None if sink.logit is None else sink.logit.tolist(), "weight": sink.weight.tolist()}
