"""The special tokens that a tokenizer's post-processor adds to one text and to two."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from attn_cli.models.tokens.classes import Template

if TYPE_CHECKING:
    import tokenizers

_State: TypeAlias = dict[str, Any]
_Slot: TypeAlias = tuple[object, int]  # a token's id, or the text "A" or "B", and its segment
_FIRST: tuple[_Slot, ...] = (("A", 0),)
_BOTH: tuple[_Slot, ...] = (("A", 0), ("B", 1))


def has_template(inner: "tokenizers.Tokenizer", template: Template, *, has_segments: bool) -> bool:
    """Whether the tokenizer adds the tokens of the template, and sets its segments if they are used."""
    split = template.pair.index("$B")
    segments = [0] * split + [template.second] * (len(template.pair) - split)
    single = _slots(inner, template.single, [0] * len(template.single))
    pair = _slots(inner, template.pair, segments)
    found = _templates(inner)
    if found is None or has_segments:
        return found == (single, pair)
    return [_ids(slots) for slots in found] == [_ids(slots) for slots in (single, pair)]


def _ids(slots: Sequence[_Slot]) -> list[object]:
    return [index for index, _ in slots]


def _slots(
    inner: "tokenizers.Tokenizer", contents: Sequence[str], segments: Sequence[int]
) -> tuple[_Slot, ...]:
    texts = {"$A": "A", "$B": "B"}
    return tuple(
        (texts.get(content, inner.token_to_id(content)), segment)
        for content, segment in zip(contents, segments, strict=True)
    )


def _templates(inner: "tokenizers.Tokenizer") -> tuple[tuple[_Slot, ...], tuple[_Slot, ...]] | None:
    """The file's template for one text and for two; None if it is not one of those known here."""
    processor = inner.post_processor
    state: _State = {"type": "ByteLevel"} if processor is None else json.loads(processor.__getstate__())
    states: list[_State] = state["processors"] if state["type"] == "Sequence" else [state]
    adding = [step for step in states if step["type"] != "ByteLevel"]  # which only trims places
    if not adding:
        return _FIRST, _BOTH
    if len(adding) > 1:
        return None
    (step,) = adding
    if step["type"] == "TemplateProcessing":
        tokens = step["special_tokens"]
        return _template_slots(step["single"], tokens), _template_slots(step["pair"], tokens)
    if step["type"] not in {"BertProcessing", "RobertaProcessing"}:
        return None
    second = 1 if step["type"] == "BertProcessing" else 0
    (_, first), (_, last) = step["cls"], step["sep"]
    single: tuple[_Slot, ...] = ((first, 0), ("A", 0), (last, 0))
    middle: tuple[_Slot, ...] = () if second else ((last, 0),)
    return single, (*single, *middle, ("B", second), (last, second))


def _template_slots(template: Sequence[_State], tokens: Mapping[str, _State]) -> tuple[_Slot, ...]:
    slots: list[_Slot] = []
    for item in template:
        ((kind, slot),) = item.items()
        values = [slot["id"]] if kind == "Sequence" else tokens[slot["id"]]["ids"]
        slots += [(value, slot["type_id"]) for value in values]
    return tuple(slots)
