"""Text + model + selection → tokens and the steps of heads; every command starts here."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from attn_cli import __version__
from attn_cli.analysis.choice import sharpness
from attn_cli.analysis.comparison import Comparison, comparison, difference_view, distance_view
from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import allowed, trace
from attn_cli.core.grid import Grid, Head, grid
from attn_cli.core.module import Attention
from attn_cli.errors import AttnError, UsageError
from attn_cli.labels import label
from attn_cli.models.catalogue import locate
from attn_cli.models.checkpoint import checkpoint
from attn_cli.models.fresh import NAME as RANDOM
from attn_cli.models.fresh import fresh
from attn_cli.models.library import choose_library
from attn_cli.models.source import Source
from attn_cli.models.tokens import Token
from attn_cli.selection import Place
from attn_cli.vocabulary import Distance, DType, Kind, Step

_LAYERS_TO_CHOOSE_FROM = 12  # a larger model is not run to its end to find a head worth showing
_OF_KEYS = frozenset({Step.KEYS, Step.VALUES})
_MASKED = frozenset({Step.LOGITS, Step.WEIGHTS})  # scores and bias are there before the mask is
_CONTROLLED = frozenset({Step.LOGITS, Step.BIAS})  # -inf is an answer there


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a text, perhaps a second one, a model, and how it is to compute."""

    text: str
    pair: str | None = None
    model: str = RANDOM
    device: str = "auto"
    dtype: DType = DType.FLOAT32
    is_causal: bool | None = None  # None: as the model says
    seed: int = 0  # of a fresh layer, like its width and heads
    width: int = 64
    heads: int = 4


@dataclass(slots=True)
class Layers:
    """The attention of each layer, computed once, when it is first asked for."""

    coming: Iterator[Attention]
    seen: list[Attention] = field(default_factory=list)

    def __getitem__(self, layer: int) -> Attention:
        """The attention of `layer`; the layers before it are run where they have not been."""
        while len(self.seen) <= layer:
            self.seen.append(next(self.coming))
        return self.seen[layer]


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as a model reads it."""

    question: Question
    source: Source
    tokens: tuple[Token, ...]
    layers: Layers

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


def read(question: Question, environment: Mapping[str, str]) -> Reading:
    """The text of the question, cut into the model's tokens; no layer has run yet.

    Raises:
        AttnError: the model is missing or damaged, the device absent, or the text too long.
        UsageError: the model takes no second text.
    """
    source = _source(question, environment)
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
    return Reading(question, source, tokens, Layers(source.attentions(tokens)))


def heads(reading: Reading, places: Sequence[Place], steps: Collection[Step]) -> list[Head]:
    """The steps of the heads at `places`, in their order.

    Raises:
        AttnError: a step holds a number that is not finite.
    """
    found: dict[Place, Head] = {}
    for layer in sorted({layer for layer, _ in places}):
        chosen = [head for at, head in places if at == layer]
        attention = reading.layers[layer]
        spelled = {step: to_numpy(array) for step, array in attention.steps(chosen, steps).items()}
        for index, head in enumerate(chosen):
            own = {step: arrays[index] for step, arrays in spelled.items()}
            found[layer, head] = _head(attention, (layer, head), own)
    return [found[place] for place in places]


def absent(found: Sequence[Head], steps: Collection[Step]) -> list[Step]:
    """Those of `steps` that the heads lack: a bias, in a model that adds none."""
    return [step for step in steps if not any(step in head.steps for head in found)]


def views(reading: Reading, found: Sequence[Head]) -> Iterator[Grid]:
    """Every step of the heads as a labelled matrix."""
    return (view(reading, head, step) for head in found for step in head.steps)


def view(reading: Reading, head: Head, step: Step) -> Grid:
    """One step of a head as a labelled matrix: the tokens that look down the side, where they look on top."""
    values = np.asarray(head.steps[step], dtype=np.float64)
    rows = labels(reading, head.queries)
    if not step.is_pairwise:
        sides = labels(reading, head.keys) if step in _OF_KEYS else rows
        features = [str(feature) for feature in range(values.shape[-1])]
        return grid(f"{step} {head.name}", values, sides, features, are_tokens=False)
    visible = mask(reading, head.layer) if step in _MASKED else None
    seen = grid(f"{step} {head.name}", values, rows, labels(reading, head.keys), visible)
    return replace(seen, limits=(0.0, seen.limits[1])) if step is Step.WEIGHTS else seen


def table(reading: Reading, found: Sequence[Head], step: Step) -> list[list[Grid]]:
    """One step of the heads as panels: a row for each layer, where every layer has the same heads."""
    by_layer: dict[int, list[Head]] = {}
    for head in found:
        by_layer.setdefault(head.layer, []).append(head)
    same = {tuple(head.head for head in row) for row in by_layer.values()}
    is_model = len(same) == 1 and len(found) > len(by_layer)
    rows = by_layer.values() if is_model else [found]
    return [[view(reading, head, step) for head in row if step in head.steps] for row in rows]


@dataclass(frozen=True, slots=True)
class HeadsCompared:
    """Heads against heads, with what is needed to show them."""

    compared: Comparison
    views: tuple[Grid, ...]  # the weights of each

    def measures(self) -> tuple[Grid, ...]:
        """The distances, and of two heads the difference."""
        apart = (distance_view(self.compared),)
        if self.compared.difference is None:
            return apart
        return (*apart, difference_view(self.compared, *self.views))

    def groups(self) -> list[list[list[Grid]]]:
        """The panels of a picture: the heads, then each measure with its own colours."""
        return [[list(self.views)], *([[measure]] for measure in self.measures())]


def compare(reading: Reading, places: Sequence[Place], distance: Distance) -> HeadsCompared:
    """The weights of the heads at `places`, measured against each other.

    Raises:
        UsageError: there are fewer than two.
    """
    if len(places) < 2:  # noqa: PLR2004
        raise UsageError("one head has nothing to be compared with", "name two or more: --heads 0.1,3.4")
    found = heads(reading, places, (Step.WEIGHTS,))
    weights = [head.steps[Step.WEIGHTS].astype(np.float64) for head in found]
    compared = comparison([head.name for head in found], weights, distance)
    alone = [view(reading, head, Step.WEIGHTS) for head in found]
    limits = (0.0, max(each.limits[1] for each in alone))  # one scale: equal colours are equal weights
    return HeadsCompared(compared, tuple(replace(each, limits=limits) for each in alone))


def headline(reading: Reading) -> list[str]:
    """The model, its size and what computes, in phrases."""
    card, library = reading.source.card, reading.source.library
    return [
        *dict.fromkeys((card.name, card.type)),
        f"{_counted(card.layers, 'layer')} × {_counted(card.heads, 'head')} of {card.head_size} features",
        _counted(len(reading.tokens), "token"),
        f"{library.name}, {library.dtype}, {library.device}",
    ]


def numbered(reading: Reading) -> list[str]:
    """The tokens' texts, each with its position."""
    return [f"{token.position} {label(token.text)}" for token in reading.tokens]


def title(reading: Reading, what: str) -> str:
    """What stands above a picture."""
    return f"{what} · {reading.source.card.name}"


def token_rows(reading: Reading) -> list[tuple[str, ...]]:
    """The tokens as lines of a list: position, id, piece, text, start, end, special, segment."""
    return [
        (
            str(token.position),
            str(token.id),
            token.piece,
            token.text,
            str(token.start),
            str(token.end),
            "yes" if token.special else "",
            str(token.segment),
        )
        for token in reading.tokens
    ]


def labels(reading: Reading, positions: Sequence[int]) -> list[str]:
    """The tokens' texts, fit to stand beside a matrix."""
    return [label(reading.tokens[position].text) for position in positions]


def mask(reading: Reading, layer: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(T, S) true where a query of the layer may look."""
    return to_numpy(allowed(reading.layers[layer].operands))


def most_telling(reading: Reading) -> tuple[Place, int, bool]:
    """The head that looks most sharply at something telling, out of how many, and whether it does at all."""
    special = np.asarray([token.special for token in reading.tokens])
    layers = min(reading.source.card.layers, _LAYERS_TO_CHOOSE_FROM)
    found = np.stack([sharpness(_weights(reading, layer), special) for layer in range(layers)])
    layer, head = np.unravel_index(np.argmax(found), found.shape)
    return (int(layer), int(head)), found.size, bool(found[layer, head] > 0)


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


def _weights(reading: Reading, layer: int) -> np.ndarray[Any, Any]:
    """(H, T, S) the weights of every head of the layer."""
    return to_numpy(trace(reading.layers[layer].operands).weights)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _source(question: Question, environment: Mapping[str, str]) -> Source:
    library = choose_library(question.device, question.dtype)
    if question.model == RANDOM:
        is_causal = bool(question.is_causal)
        return fresh(question.width, question.heads, question.seed, library, is_causal=is_causal)
    directory = locate(question.model, environment)
    is_typed_path = Path(question.model).expanduser() == directory
    name = directory.resolve().name if is_typed_path else question.model
    return checkpoint(name, directory, library, is_causal=question.is_causal)


def _head(attention: Attention, place: Place, steps: dict[Step, np.ndarray[Any, Any]]) -> Head:
    layer, head = place
    operands = attention.operands
    for step, values in steps.items():
        if step not in _CONTROLLED and not np.isfinite(values).all():
            problem = f"the {step} of head {layer}.{head} are not all finite numbers"
            raise AttnError(
                problem, "check the weights; in float16 numbers overflow: --dtype bfloat16 or float32"
            )
    return Head(
        kind=Kind.SELF,
        layer=layer,
        head=head,
        kv_head=operands.kv_head(head),
        scale=float(operands.scale),
        queries=tuple(range(operands.queries.shape[-2])),
        keys=tuple(range(operands.keys.shape[-2])),
        steps=steps,
    )
