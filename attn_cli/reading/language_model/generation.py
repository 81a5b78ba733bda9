"""A text that the model goes on with, token by token, before it is read as a whole."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from attn_cli.core.arrays import to_numpy
from attn_cli.errors import AttnError
from attn_cli.models.generation.sampling import likeliest
from attn_cli.models.source import NextToken, Source, Texts
from attn_cli.models.tokens.token import Token
from attn_cli.reading.long_texts.duration import check_duration
from attn_cli.reading.memory import Work, check
from attn_cli.reading.reading import Continuation, Generation, Reading, TextRequest, read
from attn_cli.vocabulary import Kind, Step

Tell: TypeAlias = Callable[[NextToken, Sequence[Token], str], None]
"""Is told of each token as it is written: what was expected, all tokens, and what the last one adds."""

_SMALL = 1 << 26  # bytes of weights that are not worth checking


def read_beginning(
    source: Source, request: TextRequest, generation: Generation, *, is_watched: bool = False
) -> Reading:
    """The text that a model is to go on with; a decoder of its own has read its start token.

    Raises:
        AttnError: the text has no tokens, or the model does not go on with texts or has too few positions.
    """
    if source.has_decoder:
        request = replace(request, target="")
    reading = read(source, request)
    reading = replace(reading, texts=Texts(reading.tokens, reading.texts.target[:1]))
    _check_room(reading, generation)
    source.check_generation(is_watched=is_watched)
    return reading


def _check_room(reading: Reading, generation: Generation) -> None:
    """Check that the continuation stays within the positions that the model was made for.

    A text that the user gives may be longer, with a remark, where positions are computed and not looked up;
    but what a model writes beyond them is noise.

    Raises:
        AttnError: it does not.
    """
    source, read = reading.source, len(reading.texts.target or reading.tokens)
    if source.longest is None or read + generation.tokens <= source.longest:
        return
    name = source.card.name
    size = f"{read:,} tokens and {generation.tokens:,} more, but {name} was made for {source.longest:,}"
    left = source.longest - read
    hint = f"--generate {left}" if left > 0 else "a shorter text"
    raise AttnError(f"the continuation is too long: {size}", hint)


def continued(
    reading: Reading,
    generation: Generation,
    tell: Tell | None = None,
    watched: tuple[Kind, int] | None = None,
) -> Reading:
    """The text with its continuation; an encoder-decoder model writes the decoder's text instead.

    Raises:
        AttnError: the model does not go on with texts, memory is short, or it would take hours.
    """
    _check_memory(reading, generation)
    layers = 1 + max((*reading.extent.layers, *reading.extent.others))
    suited = reading.with_suited_backend(layers)
    check_duration(suited, layers)
    source, texts = suited.source, reading.texts
    writing = source.writing(texts, "" if source.has_decoder else reading.request.text)
    choose = likeliest if generation.sampling is None else generation.sampling.chooser()

    def choice(after: NextToken) -> int:
        index = choose(after.logits)
        added = writing.add(index)
        if tell is not None:
            tell(after, writing.tokens, added)
        return index

    new = source.generate(texts, generation.tokens, choice, watched)
    writing.finish()
    has_ended = len(new) < generation.tokens or writing.tokens[-1].special
    request = reading.request
    if source.has_decoder:
        whole, read = replace(request, target=writing.text), Texts(texts.tokens, writing.tokens)
    else:
        whole, read = replace(request, text=writing.text), Texts(writing.tokens)
    continuation = Continuation(generation, request, has_ended)
    return replace(reading, request=whole, texts=read, continuation=continuation)


def largest_keys(after: NextToken, head: int, most: int) -> list[tuple[int, float]]:
    """The keys that the head gives the largest weights from the last token, the largest first."""
    assert after.watched is not None, "a layer is watched"
    first, steps = after.watched.first_key, after.watched.layer.steps([head], [Step.WEIGHTS])
    row = to_numpy(steps[Step.WEIGHTS])[0, 0]
    order = (-row).argsort(kind="stable")[:most]
    return [(first + int(key), float(row[key])) for key in order if row[key] > 0]


def _check_memory(reading: Reading, generation: Generation) -> None:
    """Check that the weights that are kept, and the keys and values, fit into free memory.

    Raises:
        AttnError: they do not.
    """
    source, card = reading.source, reading.source.card
    if source.generation_weights < _SMALL:
        return
    length = len(reading.texts.target or reading.tokens) + generation.tokens
    cached = 2 * card.layers * card.kv_heads * card.head_size * length
    work = Work(length, length, card.layers, kept=cached, kept_weights=source.generation_weights)
    check(source, work, "a smaller model, or --dtype bfloat16")
