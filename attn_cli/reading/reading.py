"""Text + model + selection → tokens and the steps of heads; every command starts here."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from attn_cli import __version__
from attn_cli.analysis.patterns import choose_pattern
from attn_cli.analysis.sharpness import measure_sharpness
from attn_cli.core.arrays import to_numpy
from attn_cli.errors import AttnError, UsageError
from attn_cli.grid import Head, Matrix, Sides
from attn_cli.models.backend import choose_library, operations, suited_library
from attn_cli.models.head_labels import Known
from attn_cli.models.hub.download import Watch, fetcher, unwatched
from attn_cli.models.hub.locate import EMBEDDED_DIRECTORY, Wanted, locate
from attn_cli.models.native.checkpoint import checkpoint
from attn_cli.models.random_layer import fresh
from attn_cli.models.source import Extent, Layer, Source, Texts
from attn_cli.models.tokens.fast import Token
from attn_cli.reading.selection import Place
from attn_cli.reading.steps import DEFAULT, Shown, check_finite
from attn_cli.reading.window import LARGEST, Portion, Side, portion, whole
from attn_cli.vocabulary import EMBEDDED, RANDOM, Distance, DType, Kind, Pattern, Step

if TYPE_CHECKING:
    from attn_cli.analysis.comparison import Comparison

_judged = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # `Shown` says it in words
_LAYERS_TO_CHOOSE_FROM = 12  # a larger model is not run to its end to find a head worth showing
_SMALL = 1 << 21  # numbers: with all that comes with them 100 MB, which is there
_TOKENS_TO_CHOOSE_BY = 512  # of a long text: as many as the patterns of a model's heads are measured on


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
    def whole(self) -> Portion:
        """All of a matrix of this text."""
        return whole(len(self.texts.queries(self.kind)), len(self.texts.keys(self.kind)))

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


def portion_of(
    reading: Reading, rows: str | None, columns: str | None, steps: Collection[Step] | None, most: int
) -> Portion:
    """How much of each matrix is shown: the rows and columns that were chosen, or all, or a picture.

    `steps` are those that were asked for; a picture has at most `most` rows and columns.

    Raises:
        UsageError: the choice is malformed or out of range; or all is too large, and no weights alone.
    """
    sizes, decoder = reading.whole, "the decoder's text"
    of_queries = decoder if reading.kind in {Kind.DECODER, Kind.CROSS} else "the text"
    of_keys = decoder if reading.kind is Kind.DECODER else "the text"
    return portion(Side(sizes.queries, of_queries), Side(sizes.keys, of_keys), rows, columns, steps, most)


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
def heads(
    reading: Reading,
    places: Sequence[Place],
    steps: Collection[Step] | None = None,
    shown: Portion | None = None,
) -> list[Head]:
    """The steps of the heads at `places`, in their order; layers after the last of them do not run.

    Without `steps` they are the scores and weights, or the logits where there are no scores. Without
    `shown` they are whole.

    Raises:
        AttnError: the weights are damaged, or a step holds a number that is not finite.
    """
    shown = shown or reading.whole
    _check_memory(reading, places, steps or DEFAULT, shown)
    return _heads_of(_shown(reading, places), places, steps, shown)


@_judged
def compared(
    reading: Reading, places: Sequence[Place], distance: Distance, shown: Portion
) -> "tuple[list[Head], Comparison]":
    """The weights of the heads as far as they are shown, and their distances over whole rows.

    Raises:
        AttnError: the weights are damaged, or a step holds a number that is not finite.
    """
    from attn_cli.analysis.comparison import comparison  # 1 ms, and only one command compares

    if shown.is_whole and shown.fits:
        found = heads(reading, places, (Step.WEIGHTS,))
        return found, comparison(found, distance)
    _check_memory(reading, places, (Step.WEIGHTS,), shown)
    layers = list(_shown(reading, places))  # all at hand: the same row of each is compared
    found = _heads_of(layers, places, (Step.WEIGHTS,), shown)
    return found, comparison(found, distance, _rows_of(layers, places, shown))


@_judged
def telling_head(
    reading: Reading, steps: Collection[Step] | None = None, shown: Portion | None = None
) -> Telling:
    """The steps of the head that is known to show most of such a text, or looks most sharply at it.

    How sharply heads look at a long text is judged by its first 512 tokens, head by head.

    Raises:
        AttnError: the weights are damaged, or a step holds a number that is not finite.
    """
    shown = shown or reading.whole
    if (known := _best_known(reading)) is not None:
        (found,) = heads(reading, [(known.layer, known.head)], steps, shown)
        card = reading.source.card
        return Telling(found, out_of=card.layers * card.heads, stands_out=True, known=known)
    layers = reading.extent.layers[:_LAYERS_TO_CHOOSE_FROM]
    _check_memory(reading, [(max(layers), 0)], steps or DEFAULT, shown)
    best: tuple[float, Shown, int] | None = None
    for layer, attention in layers_of(reading, layers):
        sharp = _sharpness(reading, attention)
        head = int(sharp.argmax())  # of one that is no number, where there is such a one
        check_finite(bool(np.isfinite(sharp[head])), f"weights of head {layer}.{head}")
        if best is None or sharp[head] > best[0]:
            best = (float(sharp[head]), Shown(reading.kind, layer, attention), head)
    assert best is not None, "a model has a layer"
    sharpest, at, head = best
    (found,) = at.heads([head], steps, shown)
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
    pattern = choose_pattern(np.asarray([token.id for token in reading.tokens]))
    candidates = [each for each in known if each.pattern in (pattern, Pattern.PREVIOUS)]
    return min(candidates, key=lambda each: (each.pattern is not pattern, -each.score), default=None)


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


def _shown(reading: Reading, places: Sequence[Place]) -> Iterator[Shown]:
    """The layers of those heads, each run when it is asked for."""
    layers = sorted({layer for layer, _ in places})
    return (Shown(reading.kind, layer, attention) for layer, attention in layers_of(reading, layers))


def _check_memory(reading: Reading, places: Sequence[Place], steps: Collection[Step], shown: Portion) -> None:
    """Raise `AttnError` where the heads, as far as they are shown, do not fit the memory.

    Raises:
        AttnError: they do not.
    """
    if shown.is_pooled:
        rows, kept = 0, len(places) * shown.most**2
    else:
        rows = min(len(shown.rows), max(1, LARGEST // shown.keys))
        matrices = sum(step.is_pairwise for step in steps)
        kept = len(places) * matrices * len(shown.rows) * len(shown.columns)
    by_layer = Counter(layer for layer, _ in places)
    most, card = max(by_layer.values()), reading.source.card
    vectors = max(shown.queries, shown.keys) * card.width + card.width**2
    if reading.source.engine == "native" and kept + most * rows * shown.keys + vectors <= _SMALL:
        return
    from attn_cli.reading.memory import Work, check  # 2 ms, and a sentence needs no estimate

    work = Work(shown.queries, shown.keys, 1 + max(by_layer), most, rows, kept, measured=int(shown.is_pooled))
    check(reading.source, work, "--rows 0-99, fewer layers or heads, or attn heads, which holds no matrix")


def _heads_of(
    layers: Iterable[Shown], places: Sequence[Place], steps: Collection[Step] | None, shown: Portion
) -> list[Head]:
    """The heads at `places`, in their order."""
    found: dict[Place, Head] = {}
    for each in layers:
        chosen = [head for layer, head in places if layer == each.number]
        found |= {(each.number, head.head): head for head in each.heads(chosen, steps, shown)}
    return [found[place] for place in places]


def _rows_of(layers: Iterable[Shown], places: Sequence[Place], shown: Portion) -> Iterator[list[Matrix]]:
    """The weights (R, S) of the heads at `places`, some rows of all of them at a time."""
    by_number = {each.number: each for each in layers}
    for rows in shown.blocks(len(places)):
        yield [by_number[layer].weights([head], rows)[0] for layer, head in places]


def _sharpness(reading: Reading, attention: Layer) -> npt.NDArray[np.floating]:
    """(H,) how sharply each head looks at the text, or at its first tokens where it is long."""
    queries = are_special(reading.texts.queries(reading.kind))
    keys = are_special(reading.texts.keys(reading.kind)) if reading.kind is Kind.CROSS else None
    if reading.whole.fits:
        return measure_sharpness(_weights(attention, range(attention.heads)), queries, keys)
    few = slice(_TOKENS_TO_CHOOSE_BY)
    first = attention.at(range(queries[few].size))
    each = (_weights(first, [head])[..., few] for head in range(attention.heads))
    return np.concatenate(
        [measure_sharpness(one, queries[few], None if keys is None else keys[few]) for one in each]
    )


def _weights(attention: Layer, heads: Sequence[int]) -> Matrix:
    """(H, T, S) of the heads."""
    return to_numpy(attention.steps(heads, {Step.WEIGHTS})[Step.WEIGHTS])
