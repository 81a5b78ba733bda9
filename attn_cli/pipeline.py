"""Text + model + selection → tokens and the steps of heads; every command starts here."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attn_cli import __version__
from attn_cli.analysis.choice import sharpness, shown_pattern
from attn_cli.core.arrays import to_numpy
from attn_cli.core.grid import Head, Sides
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.catalogue import (
    EMBEDDED_DIRECTORY,
    Cached,
    Wanted,
    cache_directory,
    cached_models,
    locate,
)
from attn_cli.models.checkpoint import checkpoint, families, read_spec
from attn_cli.models.fresh import fresh
from attn_cli.models.hub import Watch, fetcher, unwatched
from attn_cli.models.known import Known, known_heads
from attn_cli.models.library import choose_library, devices, operations, suited_library
from attn_cli.models.served import Measured, measured
from attn_cli.models.source import Extent, Layer, Source, Texts
from attn_cli.models.tokens import Token
from attn_cli.selection import Place
from attn_cli.vocabulary import EMBEDDED, RANDOM, DType, Kind, Pattern, Step

_judged = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # `check_finite` says it in words
DEFAULT = (Step.SCORES, Step.WEIGHTS)
"""The steps that are shown where nobody names one."""

_LAYERS_TO_CHOOSE_FROM = 12  # a larger model is not run to its end to find a head worth showing


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a text, perhaps a second one, a model, and how it is to compute."""

    text: str
    pair: str | None = None
    target: str | None = None  # what the decoder of an encoder-decoder model reads
    kind: Kind | None = None  # None: the model's first, `self` or `encoder`
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
    texts: Texts
    kind: Kind

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of the text."""
        return self.texts.tokens

    @property
    def extent(self) -> Extent:
        """Which layers attend, and with how many heads."""
        return self.source.kinds[self.kind]

    @property
    def notes(self) -> Iterator[str]:
        """What a person should know of this reading before trusting it."""
        source, count = self.source, max(len(self.tokens), len(self.texts.target))
        if source.longest is not None and count > source.longest:
            yield f"{count} tokens are more than the {source.longest} that {source.card.name} was made for"
        if self.question.is_causal is not None and source.card.name != RANDOM:
            yield f"{source.card.name} is read with --{'' if source.is_causal else 'no-'}causal"

    @property
    def sides(self) -> Sides:
        """What each token stands for."""
        queries, keys = self.texts.queries(self.kind), self.texts.keys(self.kind)
        return Sides([token.text for token in queries], [token.text for token in keys])


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


def every_family() -> Measured:
    """Every model type, and how it is served."""
    return measured()


def by_pattern(heads: Iterable[Known]) -> dict[Pattern, list[tuple[str, float]]]:
    """Each pattern that heads are known for; names and scores of those heads, the clearest first."""
    found: dict[Pattern, list[tuple[str, float]]] = {}
    for head in heads:
        found.setdefault(head.pattern, []).append((head.name, head.score))
    return found


def read(
    question: Question, environment: Mapping[str, str], watch: Watch = unwatched, *, weights: bool = True
) -> Reading:
    """The text of the question, cut into the model's tokens; no layer has run yet.

    `watch` is told how far a model is that must be downloaded; `weights`: whether they are to come too.

    Raises:
        AttnError: the model is missing or damaged, the device absent, or the text too long.
        UsageError: the model takes no second text, or has no such kind of attention.
    """
    source = _source(question, environment, watch, Wanted(weights, question.trusts_code))
    if question.pair is not None and not source.takes_pairs:
        raise UsageError(
            f"{source.card.name} reads one text, and --pair gives a second", "put both in one text"
        )
    kind = _kind(question, source)
    texts = Texts(
        _bounded("the text", source.tokens(question.text, question.pair), source),
        ()
        if question.target is None or source.target is None
        else _bounded("the decoder's text", source.target(question.target), source),
    )
    return Reading(question, source, texts, kind)


def suited(reading: Reading, layers: int) -> Reading:
    """The reading with the library, and the device, that are soonest done with so many layers of it."""
    source, texts, kind = reading.source, reading.texts, reading.kind
    if source.on is None:
        return reading
    sizes = len(texts.queries(kind)), len(texts.keys(kind))
    work = operations(source.card.width, layers, *sizes)
    library = suited_library(source.library, reading.question.device, work)
    return reading if library is source.library else replace(reading, source=source.on(library))


@_judged
def heads(reading: Reading, places: Sequence[Place], steps: Collection[Step] | None = None) -> list[Head]:
    """The steps of the heads at `places`, in their order; layers after the last of them do not run.

    Without `steps` they are the scores and weights, or the logits where there are no scores.

    Raises:
        AttnError: the weights are damaged, or a step holds a number that is not finite.
    """
    found: dict[Place, Head] = {}
    for layer, attention in layers_of(reading, sorted({layer for layer, _ in places})):
        spelled = _spelled(
            reading.kind, attention, layer, [head for at, head in places if at == layer], steps
        )
        found |= {(layer, head.head): head for head in spelled}
    return [found[place] for place in places]


@_judged
def telling_head(reading: Reading, steps: Collection[Step] | None = None) -> Telling:
    """The steps of the head that is known to show most of such a text, or looks most sharply at it.

    Raises:
        AttnError: the weights are damaged, or a step holds a number that is not finite.
    """
    if (known := _best_known(reading)) is not None:
        (found,) = heads(reading, [(known.layer, known.head)], steps)
        card = reading.source.card
        return Telling(found, out_of=card.layers * card.heads, stands_out=True, known=known)
    of_queries, of_keys = (
        are_special(reading.texts.queries(reading.kind)),
        are_special(reading.texts.keys(reading.kind)),
    )
    layers = reading.extent.layers[:_LAYERS_TO_CHOOSE_FROM]
    best: tuple[float, Layer, int, int] | None = None
    for layer, attention in layers_of(reading, layers):
        weights = attention.steps(range(attention.heads), {Step.WEIGHTS})[Step.WEIGHTS]
        sharp = sharpness(to_numpy(weights), of_queries, of_keys if reading.kind is Kind.CROSS else None)
        head = int(sharp.argmax())
        if best is None or sharp[head] > best[0]:
            best = (float(sharp[head]), attention, layer, head)
    assert best is not None, "a model has a layer"
    sharpest, attention, layer, head = best
    (found,) = _spelled(reading.kind, attention, layer, [head], steps)
    return Telling(found, out_of=len(layers) * reading.extent.heads, stands_out=sharpest > 0)


def document(reading: Reading) -> dict[str, object]:
    """What every JSON object of the contract begins with: model, library, text, tokens."""
    source, question = reading.source, reading.question
    return {
        "schema": 1,
        "attn": __version__,
        "model": asdict(source.card),
        "engine": source.engine,
        "library": source.library.name,
        "device": source.library.device,
        "dtype": source.library.dtype.value,
        "text": question.text,
        "pair": question.pair,
        "tokens": [asdict(token) for token in reading.tokens],
        **_target(reading),
    }


def _target(reading: Reading) -> dict[str, object]:
    """The decoder's text and tokens, where there are any."""
    if not reading.texts.target:
        return {}
    tokens = [asdict(token) for token in reading.texts.target]
    return {"target": reading.question.target, "target_tokens": tokens}


def _kind(question: Question, source: Source) -> Kind:
    """The kind of attention that was asked for, once it is seen to be there, and the decoder's text too.

    Raises:
        UsageError: one of them is not.
    """
    name = source.card.name
    if question.kind is not None:
        check_kind(question.kind, source)
    kind = question.kind or next(iter(source.kinds))
    if question.target is not None and source.target is None:
        raise UsageError(f"{name} has no decoder, and --target gives a text for one", "leave --target out")
    if question.target is None and kind in {Kind.DECODER, Kind.CROSS}:
        problem = f"{kind} attention looks from the decoder's text, and none was given"
        raise UsageError(problem, '--target "Le chat dormait"')
    return kind


def check_kind(kind: Kind, source: Source) -> None:
    """Raise `UsageError` where the model has no such attention.

    Raises:
        UsageError: it has none.
    """
    if kind not in source.kinds:
        problem = f"{source.card.name} has no {kind} attention: it has {' and '.join(source.kinds)}"
        raise UsageError(problem, f"--kind {' or '.join(source.kinds)}")


def _bounded(what: str, tokens: tuple[Token, ...], source: Source) -> tuple[Token, ...]:
    """The tokens, if there are some and the model has a position for each.

    Raises:
        AttnError: there are none, or too many.
    """
    if not tokens:
        raise AttnError(f"{what} has no tokens", "give one with words")
    if source.is_bounded and source.longest is not None and len(tokens) > source.longest:
        size = f"{len(tokens)} tokens, and {source.card.name} has {source.longest} positions"
        problem = f"{what} is too long: {size}"
        raise AttnError(problem, "shorten the text, or use a model with more positions")
    return tokens


def are_special(tokens: Sequence[Token]) -> npt.NDArray[np.bool_]:
    """Which tokens are no text."""
    return np.asarray([token.special for token in tokens])


def _best_known(reading: Reading) -> Known | None:
    """The head that is known best for what shows in this text; None where nothing is known of it."""
    known = [each for each in reading.source.known() if each.kind is reading.kind]
    if not known:
        return None
    pattern = shown_pattern(np.asarray([token.id for token in reading.tokens]))
    candidates = [each for each in known if each.pattern in (pattern, Pattern.PREVIOUS)]
    return min(candidates, key=lambda each: (each.pattern is not pattern, -each.score), default=None)


def _embedded() -> Embedded:
    spec = read_spec(EMBEDDED_DIRECTORY)
    known = known_heads(EMBEDDED_DIRECTORY, spec.layers, spec.heads)
    return Embedded(EMBEDDED, spec.type, spec.layers, spec.heads, spec.head_size, known)


def layers_of(reading: Reading, layers: Sequence[int]) -> Iterator[tuple[int, Layer]]:
    """Those layers, whose numbers go up, each run when it is asked for."""
    return zip(layers, reading.source.attentions(reading.texts, reading.kind, layers), strict=False)


def _source(question: Question, environment: Mapping[str, str], watch: Watch, wanted: Wanted) -> Source:
    library = choose_library(question.device, question.dtype)
    if question.model is None:
        return checkpoint(EMBEDDED, EMBEDDED_DIRECTORY, library, is_causal=question.is_causal)
    if question.model == RANDOM:
        is_causal = bool(question.is_causal)
        return fresh(question.width, question.heads, question.seed, library, is_causal=is_causal)
    fetch = fetcher(environment, watch, wanted)
    found = locate(question.model, environment, question.revision, fetch, wanted)
    return checkpoint(
        found.name,
        found.directory,
        library,
        is_causal=question.is_causal,
        trusts_code=question.trusts_code,
    )


def _spelled(
    kind: Kind, attention: Layer, layer: int, chosen: Sequence[int], steps: Collection[Step] | None
) -> Iterator[Head]:
    """The steps of the chosen heads of one layer; None is the scores and weights, or what stands in for them.

    The logits are judged whatever was asked for: where they overflow, the weights are zeros that look
    like a row that may look nowhere.
    """
    absent = attention.absent
    if steps is None:
        steps = (*DEFAULT, Step.LOGITS) if Step.SCORES in absent else DEFAULT
    spelled = attention.steps(chosen, {*steps, Step.LOGITS})
    arrays = {step: to_numpy(array) for step, array in spelled.items()}
    mask = to_numpy(attention.mask)
    for index, head in enumerate(chosen):
        own = {step: array[index] for step, array in arrays.items()}
        for step, values in own.items():
            judged = values[mask] if step is Step.LOGITS else values
            check_finite(bool(np.isfinite(judged).all()), f"{step} of head {layer}.{head}")
        yield Head(
            kind=kind,
            layer=layer,
            head=head,
            kv_head=attention.kv_head(head),
            scale=attention.scale,
            queries=tuple(range(mask.shape[-2])),
            keys=tuple(range(mask.shape[-1])),
            steps={step: values for step, values in own.items() if step in steps},
            mask=mask,
            absent={step: absent[step] for step in steps if step in absent},
        )


def check_finite(are_finite: bool, name: str) -> None:
    """Raise `AttnError` where some number is infinite, or none.

    Raises:
        AttnError: some is.
    """
    if not are_finite:
        hint = "check the weights; in float16 numbers overflow: --dtype bfloat16 or float32"
        raise AttnError(f"the {name} are not all finite numbers", hint)
