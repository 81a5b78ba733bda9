"""Text + model + selection → tokens and the steps of heads; every command starts here."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attn_cli import __version__
from attn_cli.analysis.choice import sharpness, shown_pattern
from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import allowed, trace
from attn_cli.core.grid import Head
from attn_cli.core.module import Attention
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.catalogue import EMBEDDED_DIRECTORY, Cached, cache_directory, cached_models, locate
from attn_cli.models.checkpoint import checkpoint, families, read_spec
from attn_cli.models.fresh import fresh
from attn_cli.models.hub import Watch, fetcher, unwatched
from attn_cli.models.known import Known, known_heads
from attn_cli.models.library import choose_library, devices
from attn_cli.models.source import Source
from attn_cli.models.tokens import Token
from attn_cli.selection import Place
from attn_cli.vocabulary import EMBEDDED, RANDOM, DType, Kind, Pattern, Step

_judged = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # `_check_finite` says it in words
_LAYERS_TO_CHOOSE_FROM = 12  # a larger model is not run to its end to find a head worth showing


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a text, perhaps a second one, a model, and how it is to compute."""

    text: str
    pair: str | None = None
    model: str | None = None  # None: the one that ships
    revision: str | None = None  # of a model of the hub; None: what is here, or its main branch
    trusts_code: bool = False  # whether a checkpoint may run Python code of its own
    device: str = "auto"
    dtype: DType = DType.FLOAT32
    is_causal: bool | None = None  # None: as the model says
    seed: int = 0  # of a fresh layer, like its width and heads
    width: int = 64
    heads: int = 4


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as a model reads it."""

    question: Question
    source: Source
    tokens: tuple[Token, ...]

    @property
    def notes(self) -> Iterator[str]:
        """What a person should know of this reading before trusting it."""
        source, count = self.source, len(self.tokens)
        if source.longest is not None and count > source.longest:
            yield f"{count} tokens are more than the {source.longest} that {source.card.name} was made for"
        if self.question.is_causal is not None and source.card.name != RANDOM:
            yield f"{source.card.name} is read with --{'' if source.is_causal else 'no-'}causal"

    @property
    def texts(self) -> tuple[str, ...]:
        """What each token stands for."""
        return tuple(token.text for token in self.tokens)


@dataclass(frozen=True, slots=True)
class Telling:
    """The head that is shown where nobody named one."""

    head: Head
    out_of: int  # how many heads it was chosen from
    stands_out: bool  # whether it looks at anything telling at all
    known: Known | None = None  # what it is known for, where that was why


@dataclass(frozen=True, slots=True)
class Embedded:
    """The model that ships with the package."""

    name: str
    type: str
    layers: int
    heads: int
    head_size: int
    known: tuple[Known, ...]


@dataclass(frozen=True, slots=True)
class Available:
    """What can be loaded here."""

    families: tuple[str, ...]
    embedded: Embedded
    cache: Path
    cached: tuple[Cached, ...]
    devices: Mapping[str, str]


def available(environment: Mapping[str, str]) -> Available:
    """The families, the models in the local Hugging Face cache, the devices."""
    cached = tuple(cached_models(environment))
    return Available(families(), _embedded(), cache_directory(environment), cached, devices())


def by_pattern(heads: Iterable[Known]) -> dict[Pattern, list[tuple[str, float]]]:
    """Each pattern that heads are known for; names and scores of those heads, the clearest first."""
    found: dict[Pattern, list[tuple[str, float]]] = {}
    for head in heads:
        found.setdefault(head.pattern, []).append((head.name, head.score))
    return found


def read(question: Question, environment: Mapping[str, str], watch: Watch = unwatched) -> Reading:
    """The text of the question, cut into the model's tokens; no layer has run yet.

    `watch` is told how far a model is that must be downloaded.

    Raises:
        AttnError: the model is missing or damaged, the device absent, or the text too long.
        UsageError: the model takes no second text.
    """
    source = _source(question, environment, watch)
    if question.pair is not None and not source.takes_pairs:
        raise UsageError(
            f"{source.card.name} reads one text, and --pair gives a second", "put both in one text"
        )
    tokens = source.tokens(question.text, question.pair)
    if not tokens:
        raise AttnError("the text has no tokens", "give one with words")
    if source.is_bounded and source.longest is not None and len(tokens) > source.longest:
        size = f"{len(tokens)} tokens, and {source.card.name} has {source.longest} positions"
        problem = f"the text is too long: {size}"
        raise AttnError(problem, "shorten the text, or use a model with more positions")
    return Reading(question, source, tokens)


@_judged
def heads(reading: Reading, places: Sequence[Place], steps: Collection[Step]) -> list[Head]:
    """The steps of the heads at `places`, in their order; layers after the last of them do not run.

    Raises:
        AttnError: the weights are damaged, or a step holds a number that is not finite.
    """
    found: dict[Place, Head] = {}
    for layer, attention in _layers(reading, 1 + max(layer for layer, _ in places)):
        if chosen := [head for at, head in places if at == layer]:
            spelled = _spelled(attention, layer, chosen, steps)
            found |= {(layer, head.head): head for head in spelled}
    return [found[place] for place in places]


@_judged
def telling_head(reading: Reading, steps: Collection[Step]) -> Telling:
    """The steps of the head that is known to show most of such a text, or looks most sharply at it.

    Raises:
        AttnError: the weights are damaged, or a step holds a number that is not finite.
    """
    if (known := _best_known(reading)) is not None:
        (found,) = heads(reading, [(known.layer, known.head)], steps)
        card = reading.source.card
        return Telling(found, out_of=card.layers * card.heads, stands_out=True, known=known)
    special = np.asarray([token.special for token in reading.tokens])
    count = min(reading.source.card.layers, _LAYERS_TO_CHOOSE_FROM)
    best: tuple[float, Attention, int, int] | None = None
    for layer, attention in _layers(reading, count):
        sharp = sharpness(to_numpy(trace(attention.operands).weights), special)
        head = int(sharp.argmax())
        if best is None or sharp[head] > best[0]:
            best = (float(sharp[head]), attention, layer, head)
    assert best is not None, "a model has a layer"
    sharpest, attention, layer, head = best
    (found,) = _spelled(attention, layer, [head], steps)
    return Telling(found, out_of=count * reading.source.card.heads, stands_out=sharpest > 0)


def document(reading: Reading) -> dict[str, object]:
    """What every JSON object of the contract begins with: model, library, text, tokens."""
    source, question = reading.source, reading.question
    return {
        "schema": 1,
        "attn": __version__,
        "model": asdict(source.card),
        "engine": "native",
        "library": source.library.name,
        "device": source.library.device,
        "dtype": source.library.dtype.value,
        "text": question.text,
        "pair": question.pair,
        "tokens": [asdict(token) for token in reading.tokens],
    }


def _best_known(reading: Reading) -> Known | None:
    """The head that is known best for what shows in this text; None where nothing is known of it."""
    known = reading.source.known()
    if not known:
        return None
    pattern = shown_pattern(np.asarray([token.id for token in reading.tokens]))
    candidates = [each for each in known if each.pattern in (pattern, Pattern.PREVIOUS)]
    return min(candidates, key=lambda each: (each.pattern is not pattern, -each.score), default=None)


def _embedded() -> Embedded:
    spec = read_spec(EMBEDDED_DIRECTORY)
    known = known_heads(EMBEDDED_DIRECTORY, spec.layers, spec.heads)
    return Embedded(EMBEDDED, spec.type, spec.layers, spec.heads, spec.head_size, known)


def _layers(reading: Reading, count: int) -> Iterator[tuple[int, Attention]]:
    """The first `count` layers, each run when it is asked for."""
    return zip(range(count), reading.source.attentions(reading.tokens), strict=False)


def _source(question: Question, environment: Mapping[str, str], watch: Watch) -> Source:
    library = choose_library(question.device, question.dtype)
    if question.model is None:
        return checkpoint(EMBEDDED, EMBEDDED_DIRECTORY, library, is_causal=question.is_causal)
    if question.model == RANDOM:
        is_causal = bool(question.is_causal)
        return fresh(question.width, question.heads, question.seed, library, is_causal=is_causal)
    found = locate(question.model, environment, question.revision, fetcher(environment, watch))
    return checkpoint(
        found.name,
        found.directory,
        library,
        is_causal=question.is_causal,
        trusts_code=question.trusts_code,
    )


def _spelled(
    attention: Attention, layer: int, chosen: Sequence[int], steps: Collection[Step]
) -> Iterator[Head]:
    """The steps of the chosen heads of one layer.

    The logits are judged whatever was asked for: where they overflow, the weights are zeros that look
    like a row that may look nowhere.
    """
    operands = attention.operands
    spelled = attention.steps(chosen, {*steps, Step.LOGITS})
    arrays = {step: to_numpy(array) for step, array in spelled.items()}
    mask = to_numpy(allowed(operands))
    for index, head in enumerate(chosen):
        own = {step: array[index] for step, array in arrays.items()}
        for step, values in own.items():
            _check_finite(values[mask] if step is Step.LOGITS else values, f"{step} of head {layer}.{head}")
        yield Head(
            kind=Kind.SELF,
            layer=layer,
            head=head,
            kv_head=operands.kv_head(head),
            scale=float(operands.scale),
            queries=tuple(range(operands.queries.shape[-2])),
            keys=tuple(range(operands.keys.shape[-2])),
            steps={step: values for step, values in own.items() if step in steps},
            mask=mask,
        )


def _check_finite(values: npt.NDArray[Any], name: str) -> None:
    """Raise `AttnError` for an infinite number, or one that is none."""
    if not np.isfinite(values).all():
        hint = "check the weights; in float16 numbers overflow: --dtype bfloat16 or float32"
        raise AttnError(f"the {name} are not all finite numbers", hint)
