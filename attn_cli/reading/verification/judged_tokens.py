"""Compares the tokens of readings with those of transformers' AutoTokenizer."""

from collections.abc import Sequence

from attn_cli.errors import AttnError, DifferenceError
from attn_cli.models.source import ReferenceModel, Texts
from attn_cli.models.tokens.token import Token
from attn_cli.reading.reading import Reading, TextRequest


def check_tokens(model: ReferenceModel, readings: Sequence[Reading]) -> str:
    """Compare ids and segments; the answer is why they could not be compared, empty if they were.

    Raises:
        DifferenceError: they differ.
    """
    for reading in readings:
        request, texts = _given(reading)
        target = (request.target or request.text) if texts.target else None
        chat = None if request.chat is None else request.chat.written
        try:
            theirs = model.tokens_of(request.text, request.pair, target, chat)
        except AttnError as error:
            return error.problem
        _check("token ids", [token.id for token in texts.tokens], theirs.ids, texts.tokens)
        if theirs.segments is not None:
            segments = [token.segment for token in texts.tokens]
            _check("segments", segments, theirs.segments, texts.tokens)
        if theirs.target is not None:
            ids = [token.id for token in texts.target]
            _check("decoder's token ids", ids, theirs.target, texts.target)
    return ""


def _given(reading: Reading) -> tuple[TextRequest, Texts]:
    """What was read before the model went on with it: what it wrote is no text that was split."""
    if reading.continuation is None:
        return reading.request, reading.texts
    return reading.continuation.request, Texts(
        tuple(token for token in reading.tokens if not token.generated)
    )


def _check(what: str, ours: Sequence[int], theirs: Sequence[int], tokens: Sequence[Token]) -> None:
    """Raise `DifferenceError` at the first place where the numbers differ."""
    for place in range(max(len(ours), len(theirs))):
        own, other = (numbers[place] if place < len(numbers) else None for numbers in (ours, theirs))
        if own != other:
            text = f" ('{tokens[place].piece}')" if own is not None else ""
            has = "no token" if own is None else f"{own}{text}"
            instead = "no token" if other is None else str(other)
            problem = f"the {what} differ from AutoTokenizer's at position {place}: {has}, not {instead}"
            raise DifferenceError(problem)
