"""The fields at the start of every JSON document: model, library, text and tokens."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from attn_cli import __version__
from attn_cli.models.hub.origin import origin_of
from attn_cli.models.source import Source
from attn_cli.models.tokens.token import Token
from attn_cli.reading.reading import Reading, TextRequest
from attn_cli.vocabulary import Kind

if TYPE_CHECKING:
    from attn_cli.reading.words.words import WordSide


def describe_reading(reading: Reading) -> dict[str, object]:
    """The model, the library and device, the text and its tokens, named as in the schema."""
    return {
        **describe_text(reading.source, reading.request),
        "tokens": [_token(token) for token in reading.tokens],
        **_target(reading),
        **_generation(reading),
        **_words(reading),
    }


def describe_text(source: Source, request: TextRequest) -> dict[str, object]:
    """The same without the tokens."""
    return {
        **describe_source(source),
        "text": request.text,
        "pair": request.pair,
        **({} if request.chat is None else {"chat": request.chat.messages}),
    }


def describe_source(source: Source) -> dict[str, object]:
    """The model with its weights, and what computes, named as in the schema."""
    run = how_it_runs(source)
    return {"schema": 1, **run, "model": asdict(source.card) | origin_of(source.weight_paths).fields()}


def how_it_runs(source: Source) -> dict[str, object]:
    """The same, without what may have to be read of the weights."""
    return {
        "attn": __version__,
        "model": asdict(source.card),
        "engine": source.engine,
        "library": source.backend.name,
        "device": source.backend.device,
        "dtype": source.backend.dtype.value,
    }


def weights_origin(source: Source) -> dict[str, str | None]:
    """Where the weights come from; all files are read, unless the hub's cache has their checksums."""
    return origin_of(source.weight_paths, None).fields()


def _token(token: Token) -> dict[str, object]:
    """The token; whether it was generated is said only if it was."""
    entry = asdict(token)
    return entry if token.generated else {name: entry[name] for name in entry if name != "generated"}


def _generation(reading: Reading) -> dict[str, object]:
    """How the text went on; empty if it did not."""
    continuation = reading.continuation
    if continuation is None:
        return {}
    sampling = continuation.generation.sampling
    drawn = {"temperature": None, "top_p": None, "seed": None} if sampling is None else asdict(sampling)
    return {
        "generation": {"tokens": continuation.generation.tokens, **drawn, "ended": continuation.has_ended}
    }


def _target(reading: Reading) -> dict[str, object]:
    """The decoder's text and tokens; empty if there are none."""
    if not reading.texts.target:
        return {}
    tokens = [_token(token) for token in reading.texts.target]
    return {"target": reading.request.target, "target_tokens": tokens}


def _words(reading: Reading) -> dict[str, object]:
    """The words that queries and keys are, each with its tokens; empty if they are tokens."""
    if reading.words is None:
        return {}
    keys = _listed(reading.words.keys)
    if reading.kind is Kind.DECODER:
        return {"target_words": keys}
    if reading.kind is Kind.CROSS:
        return {"words": keys, "target_words": _listed(reading.words.queries)}
    return {"words": keys}


def _listed(side: "WordSide") -> list[dict[str, object]]:
    return [
        {
            "position": place,
            "text": word.text,
            "start": word.start,
            "end": word.end,
            "special": word.special,
            "segment": word.segment,
            "tokens": list(tokens),
        }
        for place, (word, tokens) in enumerate(zip(side.words, side.members, strict=True))
    ]
