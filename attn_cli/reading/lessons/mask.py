"""What does a mask do to scores? The same row with and without it, and with two masks that are wrong."""

from dataclasses import replace

from attn_cli.answers.lessons.mask import Imagined, MaskStudy
from attn_cli.core.arrays import Array, device_of, namespace
from attn_cli.core.attention import Operands, allowed, trace
from attn_cli.core.masks import Rule, causal, everywhere, padding, reason
from attn_cli.errors import AttnError, UsageError
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.lessons.row import attention_of, one_row, softmax_of, softmax_row, visible_keys
from attn_cli.vocabulary import Kind

_PADDED = 4  # one key of so many is hidden where padding is only imagined


def study(request: LessonRequest) -> MaskStudy:
    """The row of the request with several masks, or of a query from which the mask hides a key.

    Raises:
        AttnError: queries and keys are not known, or not what the model adds to the scores of hidden keys.
        UsageError: there is no key to hide.
    """
    operands, (_, head) = attention_of(request).operands, request.place
    query, imagined = _shown(operands, request)
    rule = operands.mask if imagined is None else _rule_of(imagined, operands.keys)
    _check_bias(operands, request)
    row = one_row(replace(operands, mask=rule), head, query)
    unmasked = softmax_row(one_row(replace(operands, mask=everywhere), head, query))
    visible, bare = visible_keys(row), bare_logits(row)
    return MaskStudy(
        model=request.reading.source.card.name,
        place=request.place,
        asked=request.query,
        query=query,
        imagined=imagined,
        hidden=~visible,
        reasons=[reason(rule, query, key, row.queries) for key in range(visible.size)],
        open=unmasked,
        masked=softmax_row(row),
        zeros=softmax_of(namespace(bare).where(allowed(row), bare, bare * 0), row),
    )


def bare_logits(row: Operands) -> Array:
    """(1, 1, S) the logits before the mask: the scores with soft cap and bias."""
    return trace(replace(row, mask=everywhere)).logits


def _shown(operands: Operands, request: LessonRequest) -> tuple[int, Imagined | None]:
    """The query that is shown, and the mask that is imagined if the model's hides nothing from any.

    Raises:
        UsageError: no mask hides a key: there is a single one.
    """
    queries, keys = int(operands.queries.shape[-2]), int(operands.keys.shape[-2])
    candidates = dict.fromkeys((request.query, (queries - 1) // 2, 0, queries - 1))
    masks: list[Imagined | None] = [None]
    masks.append(Imagined.PADDING if request.reading.kind is Kind.CROSS else Imagined.CAUSAL)
    for imagined in masks:
        rule = operands.mask if imagined is None else _rule_of(imagined, operands.keys)
        for query in candidates:
            if keys > 1 and not visible_keys(_masked_row(operands, rule, query)).all():
                return query, imagined
    problem = f"this lesson hides a key from a query, and the text has {keys} token"
    raise UsageError(problem, "a text of two or more tokens")


def _masked_row(operands: Operands, rule: Rule, query: int) -> Operands:
    return one_row(replace(operands, mask=rule), 0, query)


def _rule_of(imagined: Imagined, like: Array) -> Rule:
    """The imagined mask over the keys `like` (G, S, D)."""
    if imagined is Imagined.CAUSAL:
        return causal
    keys = int(like.shape[-2])
    real = keys - max(1, keys // _PADDED)
    places = namespace(like).arange(keys, device=device_of(like))
    return padding(places < real)


def _check_bias(operands: Operands, request: LessonRequest) -> None:
    """Check that the bias of hidden keys is known: what is recorded has it only where a query may look.

    Raises:
        AttnError: it is not.
    """
    source, (layer, _) = request.reading.source, request.place
    if operands.bias is not None and source.engine == "transformers":
        name = source.card.name
        problem = f"what {name} adds to the scores of hidden keys in layer {layer} is not known"
        raise AttnError(f"{problem}: transformers computes it", "another model, or leave out --model")
