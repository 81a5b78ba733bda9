"""Whether the model's own language head is known: the tensors that it consists of, or the reason why not."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from attn_cli.models.files.saved_as import check_tied_head, no_head
from attn_cli.models.files.weights import Weights
from attn_cli.models.native.spec import LanguageHead, Spec
from attn_cli.record import record

_SEES_AHEAD = "its tokens see the tokens after them, so that no next token is predicted"


@record(frozen=True, slots=True)
class KnownHead:
    """A head, and where its matrix and its bias are."""

    head: LanguageHead
    weights: Weights  # under the names of the head
    matrix: str  # the name without `.weight`
    bias: str | None  # the whole name; None: it has none


def check_mask(name: str, spec: Spec, *, asked: bool | None) -> None:
    """Check that the mask that was asked for, if any, leaves the head something to predict.

    Raises:
        AttnError: it does not.
    """
    if asked is None or spec.head is None:
        return
    fills_masks = spec.head().fills_masks
    if fills_masks and asked:
        reason = "it fills in masked tokens, which see both sides without --causal"
        raise no_head(name, reason, "leave out --causal")
    if not (fills_masks or asked or spec.is_causal):
        raise no_head(name, f"with --no-causal, {_SEES_AHEAD}", "leave out --no-causal")


def known_head(name: str, path: Path, spec: Spec, weights: Weights, adapter: Path | None) -> KnownHead:
    """The language head of the model `name`, whose files are at `path`.

    Raises:
        AttnError: the model has none, or its files do not say what it is.
    """
    head = _head(name, spec)
    weights = replace(
        weights,
        prefixes=tuple(dict.fromkeys(("", *spec.prefixes))),
        aliases={**(weights.aliases or {}), **head.aliases},
    )
    missing = next((tensor for tensor in _parts(head) if not weights.has(tensor)), None)
    if missing is not None:
        raise no_head(name, f"the tensor {missing} is missing from {weights.directory}")
    matrix, bias = _matrix(name, spec, head, weights), _bias(name, head, weights)
    if matrix != head.decoder.name:
        check_tied_head(name, path, adapter)
    return KnownHead(head, weights, matrix, bias)


def _head(name: str, spec: Spec) -> LanguageHead:
    if spec.is_encoder_alone:
        raise no_head(name, "it is an encoder without its decoder")
    assert spec.head is not None, "every native family with a decoder, or with masked tokens, has a head"
    head = spec.head()
    if not (spec.is_causal or head.fills_masks):
        raise no_head(name, _SEES_AHEAD)
    return head


def _parts(head: LanguageHead) -> Iterator[str]:
    """The tensors before the matrix."""
    for part in filter(None, (head.transform, head.norm)):
        yield f"{part.name}.weight"
        if part.has_bias:
            yield f"{part.name}.bias"


def _matrix(name: str, spec: Spec, head: LanguageHead, weights: Weights) -> str:
    """The name of the matrix: its own, or that of the embeddings which it is tied to."""
    ties = (head.tied_to or (spec.embeddings.tokens,)) if head.is_tied else ()
    found = next((each for each in (head.decoder.name, *ties) if weights.has(f"{each}.weight")), None)
    if found is None:
        untied = "" if head.is_tied else ", and the configuration does not tie it to the embeddings"
        raise no_head(
            name, f"the tensor {head.decoder.name}.weight is missing from {weights.directory}{untied}"
        )
    return found


def _bias(name: str, head: LanguageHead, weights: Weights) -> str | None:
    """The name of the bias beside the matrix, or of the one that is its own where the two are tied."""
    if not head.decoder.has_bias:
        return None
    names = [f"{head.decoder.name}.bias"]
    if head.is_tied and head.tied_bias is not None:
        names.append(head.tied_bias)
    for each in names:
        if weights.has(each):
            return each
    raise no_head(name, f"the tensor {names[-1]} is missing from {weights.directory}")
