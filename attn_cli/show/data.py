"""Writes steps and comparisons to data files: .json, .npz, .safetensors and .csv.

A float is written as the shortest decimal that reads back as the same number in the same format: 0.17677669
for a float32, not 0.1767766922712326.

JSON is written here because `json` supports only float64, and `orjson` (3.13) writes null for every number
that is not finite, formats float16 with the digits of float32, does not escape characters outside ASCII, and
puts either each number on its own line or everything on one line.
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from math import isfinite
from pathlib import Path
from typing import TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from attn_cli.errors import AttnError
from attn_cli.grid import HIDDEN, SINK, Head
from attn_cli.safe_text import printable, text_cell
from attn_cli.vocabulary import Kind, Step

Values: TypeAlias = npt.NDArray[np.generic]
Content = TypeVar("Content")

COLUMNS = ("kind", "layer", "head", "step", "row", "column", "row_token", "column_token", "value")


def schema() -> str:
    """The JSON Schema (draft 2020-12) of the objects of `inspect`, `tokens` and `compare`."""
    return Path(__file__).with_name("schema.json").read_text("utf-8").rstrip()


def attention_entries(heads: Sequence[Head]) -> list[dict[str, object]]:
    """The list `attention` of a document; the steps remain arrays until they are written."""
    return [
        _entry(head) | _sink(head) | _hidden(head) | {"steps": _named(head.steps)} | _absent(head)
        for head in heads
    ]


def as_json(document: Mapping[str, object]) -> str:
    """Standard JSON with one matrix row per line; numbers are finite, and masked cells of `logits` null.

    Raises `AttnError` for any other number that is not finite. Everything outside ASCII is escaped, so that
    no token can control a terminal and lone surrogates do not break the encoding.
    """
    return _written(document)


BETWEEN_ROWS = ",\n  "
"""What stands between the objects of a list in JSON."""


def json_with_rows(document: Mapping[str, object], name: str, blocks: Iterable[str]) -> Iterator[str]:
    """The parts of the same JSON with `name` as its last key: a list of objects.

    They are written already, in blocks, with `BETWEEN_ROWS` from one to the next.
    """
    before, _, after = as_json({**document, name: [{}]}).rpartition("{}")
    yield before
    for number, block in enumerate(blocks):
        yield (BETWEEN_ROWS if number else "") + block
    yield after


def as_npz(document: Mapping[str, object], heads: Sequence[Head]) -> bytes:
    """A file for `numpy.load`: arrays `KIND.LAYER.HEAD.STEP` as computed, and the rest as JSON in `meta`.

    A learned sink has two: `KIND.LAYER.HEAD.sink_logit` and `KIND.LAYER.HEAD.sink_weight`; what hidden keys
    take is `KIND.LAYER.HEAD.hidden_weight`.
    """
    import zipfile  # 10 ms

    content = io.BytesIO()
    arrays = _arrays(document, heads) | {"meta": np.array(_meta(document, heads))}
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            # A ZipInfo is dated 1980, so equal numbers give equal bytes.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return content.getvalue()


def as_safetensors(document: Mapping[str, object], heads: Sequence[Head]) -> bytes:
    """A safetensors file: arrays named as in `as_npz`, and the rest as JSON in `meta`."""
    from safetensors.numpy import save  # 2 ms, no torch

    return save(_arrays(document, heads), {"meta": _meta(document, heads)})


def as_csv(document: Mapping[str, object], heads: Sequence[Head]) -> bytes:
    """The steps of the heads as one long table, with one number per line.

    `row` and `column` are positions of tokens, or places of words; the columns of a (T, D) step are its
    features and have no token. True is 1, false 0, and a masked cell of `logits` is empty. Tokens are written
    by `text_cell`. A learned sink follows the steps of its head as `sink_logit` and `sink_weight`, one column
    each, and what hidden keys take as `hidden_weight`.
    """
    lines = (line for head in heads for line in _lines_of_head(document, head))
    return csv_table(chain([COLUMNS], lines))


def comparison_as_csv(document: Mapping[str, object]) -> bytes:
    """The matrix of a comparison as a square table: a header with the items, then a line per item.

    An item is KIND.LAYER.HEAD: a table reader takes `2.1` and `2.10` for the same number.
    """
    items = [printable(f"{document['kind']}.{item}") for item in cast("Sequence[str]", document["items"])]
    rows = _finite(np.asarray(document["matrix"]), "matrix", "")
    return csv_table([["item", *items], *([item, *row] for item, row in zip(items, rows, strict=True))])


def csv_table(lines: Iterable[Iterable[object]]) -> bytes:
    """Comma-separated values, one line of text for each of `lines`."""
    import csv  # 0.5 ms, and most output is tables

    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()


def _entry(head: Head) -> dict[str, object]:
    """Everything about a head except its steps."""
    return {
        "kind": str(head.kind),
        "layer": head.layer,
        "head": head.head,
        "kv_head": head.kv_head,
        "scale": _scale(head),
        "queries": list(head.queries),
        "keys": list(head.keys),
    } | ({"cells": list(head.cells), "pool": str(head.pool)} if head.is_pooled else {})


def _named(steps: Mapping[Step, Content]) -> dict[str, Content]:
    """The steps by their names in a file."""
    return {str(step): value for step, value in steps.items()}


def _sink(head: Head) -> dict[str, object]:
    """The learned sink; empty if the head has none."""
    return {} if head.sink is None else {SINK: {"logit": head.sink.logit, "weight": head.sink.weight}}


def _hidden(head: Head) -> dict[str, object]:
    """The hidden keys, with what they take of each row; empty if none is hidden."""
    if head.hidden is None:
        return {}
    renormalized = {"renormalized": True} if head.hidden.is_renormalized else {}
    written = _named(head.hidden.written)
    return {HIDDEN: {"keys": list(head.hidden.keys), "weight": head.hidden.weight} | written | renormalized}


def _arrays_beside(head: Head) -> dict[str, Values]:
    """The sink's logit, () or (T,), and what it and hidden keys take (T,), by the names of their arrays."""
    arrays: dict[str, Values] = {}
    if head.sink is not None:
        arrays = {} if head.sink.logit is None else {f"{SINK}_logit": np.asarray(head.sink.logit)}
        arrays[f"{SINK}_weight"] = head.sink.weight
    if head.hidden is None:
        return arrays
    written = {f"{HIDDEN}_{step}": numbers for step, numbers in head.hidden.written.items()}
    return arrays | {f"{HIDDEN}_weight": head.hidden.weight} | written


def _absent(head: Head) -> dict[str, object]:
    """The missing steps, each with the reason; empty if there are none."""
    return {"absent": _named(head.absent)} if head.absent else {}


def _scale(head: Head) -> float | None:
    """The scale in the precision of the computation: float32, unless the steps are float64."""
    return None if head.scale is None else computed_scale(head.scale, *head.steps.values())


def computed_scale(scale: float, *steps: Values) -> float:
    """The scale in the precision in which these steps were computed: float32, or float64."""
    dtype = np.result_type(np.float32, *(values.dtype for values in steps))
    return float(str(dtype.type(scale)))


def _arrays(document: Mapping[str, object], heads: Sequence[Head]) -> dict[str, Values]:
    """Every array by name: the steps of the heads, and those in the document itself."""
    own = {name: value for name, value in document.items() if isinstance(value, np.ndarray)}
    steps = {
        f"{head.kind}.{head.name}.{name}": values
        for head in heads
        for name, values in (_named(head.steps) | _arrays_beside(head)).items()
    }
    return {name: np.ascontiguousarray(array) for name, array in (own | steps).items()}


def _meta(document: Mapping[str, object], heads: Sequence[Head]) -> str:
    """The document without its arrays, as JSON."""
    rest = {name: value for name, value in document.items() if not isinstance(value, np.ndarray)}
    if heads:
        rest["attention"] = [_entry(head) | _hidden(head) | _absent(head) for head in heads]
    return as_json(rest)


def _written(value: object, key: str = "", owner: str = "") -> str:
    """`value` as JSON; `key` and `owner` locate it in an error message."""
    if isinstance(value, np.ndarray | np.generic):
        return _written_array(_finite(np.asarray(value), key, owner))
    if isinstance(value, Mapping):
        owner = f"{value['kind']} {value['layer']}.{value['head']}" if "head" in value else owner
        return _laid_out("{}", [f"{json.dumps(k)}: {_written(v, k, owner)}" for k, v in value.items()])
    if isinstance(value, Sequence) and not isinstance(value, str):
        if all(isinstance(item, int) for item in value):
            return json.dumps(list(value))  # positions: ten times faster than one by one
        return _laid_out("[]", [_written(item, key, owner) for item in value])
    if isinstance(value, float) and not isfinite(value):
        raise _not_finite(value, key, owner)
    return json.dumps(value)


def _written_array(array: Values) -> str:
    if array.ndim > 1:
        return _laid_out("[]", [_written_array(row) for row in array])
    words = ", ".join(map(str, array.reshape(-1)))
    if array.dtype == bool:
        words = words.lower()
    words = words.replace("-inf", "null")
    return f"[{words}]" if array.ndim else words


def _laid_out(brackets: str, items: Sequence[str]) -> str:
    """The items on one line; or one line each, if an item is itself a list, an object or several lines."""
    first, last = brackets[0], brackets[1]
    if not any("\n" in item or item[0] in "[{" for item in items):
        return f"{first}{', '.join(items)}{last}"
    lines = ",\n".join(items).replace("\n", "\n ")  # newlines in texts are escaped
    return f"{first}\n {lines}\n{last}"


def _finite(values: Values, key: str, owner: str) -> Values:
    """`values`, if every number is finite or a masked logit; raises `AttnError` otherwise.

    A sink whose logit is -∞ is no sink.
    """
    odd = values[~np.isfinite(values)]
    if key in {Step.LOGITS, "logit", f"{SINK}_logit"}:
        odd = odd[odd != -np.inf]
    if odd.size:
        raise _not_finite(odd[0], key, owner)
    return values


def _not_finite(value: object, key: str, owner: str) -> AttnError:
    place = f"the {key} of {owner}" if owner else f"the {key}"
    hint = "--dtype float32 or float64, or a .npz file, which keeps such numbers"
    return AttnError(f"not a finite number in {place}: {value}", hint)


def _cells(
    document: Mapping[str, object], head: Head, step: Step, values: Values
) -> Iterator[Iterable[object]]:
    """The lines of one step, in the order of `COLUMNS`."""
    rows = head.keys if step.is_of_keys else head.queries
    row_tokens = _tokens(document, head, of_keys=step.is_of_keys)
    columns = head.keys if step.is_pairwise else range(values.shape[-1])
    column_tokens = _tokens(document, head, of_keys=True) if step.is_pairwise else repeat("")
    name = [repeat(part) for part in (head.kind, head.layer, head.head, step)]
    for row, token, line in zip(
        rows, row_tokens, _finite(values, step, f"{head.kind} {head.name}"), strict=True
    ):
        yield from zip(*name, repeat(row), columns, repeat(token), column_tokens, _fields(line), strict=False)


def _lines_of_head(document: Mapping[str, object], head: Head) -> Iterator[Iterable[object]]:
    """The lines of all steps of a head, then of its sink and hidden keys, in the order of `COLUMNS`."""
    for step, values in head.steps.items():
        yield from _cells(document, head, step, values)
    tokens = _tokens(document, head, of_keys=False)
    for name, values in _arrays_beside(head).items():
        column = _fields(np.broadcast_to(_finite(values, name, f"{head.kind} {head.name}"), len(tokens)))
        for row, token, value in zip(head.queries, tokens, column, strict=True):
            yield head.kind, head.layer, head.head, name, row, 0, token, "", value


def _fields(line: Values) -> list[object]:
    """A row's values for `csv`: booleans as 1 or 0, None for a masked cell."""
    if line.dtype == bool:
        return [int(value) for value in line]
    masked = line == -np.inf
    return [None if hidden else value for value, hidden in zip(line, masked, strict=True)]


def _tokens(document: Mapping[str, object], head: Head, *, of_keys: bool) -> list[str]:
    """The texts of the head's queries or keys, from the list that its kind reads."""
    of_target = head.kind is Kind.DECODER or (head.kind is Kind.CROSS and not of_keys)
    of_words, of_tokens = (f"target_{name}" if of_target else name for name in ("words", "tokens"))
    tokens = cast("Sequence[Mapping[str, str]]", document.get(of_words) or document[of_tokens])
    return [text_cell(tokens[position]["text"]) for position in (head.keys if of_keys else head.queries)]
