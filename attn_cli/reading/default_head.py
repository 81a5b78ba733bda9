"""Chooses the head shown by default: one known for a pattern in the text, or else the sharpest."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from attn_cli.analysis.evidence import Evidence, TokenPair, find_evidence
from attn_cli.analysis.evidence_rows import find_evidence_rows
from attn_cli.analysis.patterns import choose_pattern, is_enough, name_pattern
from attn_cli.analysis.sharpness import find_sharpest_pair, measure_sharpness
from attn_cli.core.arrays import to_numpy
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.errors import UsageError
from attn_cli.grid import Head, Matrix
from attn_cli.models.backend import estimate_operations
from attn_cli.models.head_labels import HeadLabel
from attn_cli.models.source import Layer
from attn_cli.models.tokens.token import Token
from attn_cli.reading.memory import check_heads_fit
from attn_cli.reading.probe_store import StoredProbe
from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import (
    DEFAULT_STEPS,
    ShownLayer,
    check_finite,
    run_layers,
    shown_layers,
    unwarned,
)
from attn_cli.reading.window import Window
from attn_cli.record import record
from attn_cli.safe_text import label as token_label
from attn_cli.vocabulary import Kind, Pattern, Step

_LAYERS_TO_CHOOSE_FROM = 12  # the first layers of a model that takes longer than a second to run
_MOST_SECONDS = 20  # on a CPU, to run the layers that lead to the last one of those
_OPERATIONS_PER_SECOND = 7e10  # of NumPy on one core: SmolLM2-135M, 512 tokens, all layers in 2.1 s
_WEIGHTS_PER_SECOND = 5e8  # read from a bfloat16 checkpoint into float32: SmolLM2-135M in 0.2 s
_TOKENS_TO_CHOOSE_BY = 512  # of a long text: as many as the head labels of a model are measured on
_DOES = {
    Pattern.INDUCTION: "it attends to what followed an earlier copy of the token",
    Pattern.DUPLICATE: "it attends to earlier copies of the token",
    Pattern.PREVIOUS: "each token attends to the one before it",
}


@record(frozen=True, slots=True)
class DefaultHead:
    """The default head, and the reasons for choosing it."""

    head: Head
    shown: ShownLayer  # its layer, between tokens
    out_of: int  # the number of heads it was chosen from
    layers: int  # the number of layers, from the first, that those heads are in
    stands_out: bool  # whether its attention is sharp anywhere
    label: HeadLabel | None = None  # what it is known for, if it was chosen for that
    probe: StoredProbe | None = None  # what showed that, if not the model's card
    evidence: Evidence | None = None  # how clearly it shows a pattern on this text
    clearest: TokenPair | None = None  # the pair with the sharpest attention

    @property
    def pair(self) -> TokenPair | None:
        """The pair of tokens that shows best what it does."""
        return self.clearest if self.evidence is None else self.evidence.clearest


@unwarned
def choose_default_head(
    reading: Reading,
    steps: Collection[Step] | None = None,
    window: Window | None = None,
    probe: StoredProbe | None = None,
) -> DefaultHead:
    """The steps of the head best known for a pattern in the text, or else of the sharpest head.

    Heads are known by their probe, if the model was probed, or else by its card. In a long text, sharpness
    is measured on the first 512 tokens. Heads are chosen by tokens, even if words are shown.

    Raises:
        AttnError: the weights are damaged, or a step contains a number that is not finite.
    """
    window = window or reading.whole
    label = best_label(reading, probe)
    if label is None:
        return _sharpest(reading, steps, window)
    places = [(label.layer, label.head)]
    check_heads_fit(reading, places, steps or DEFAULT_STEPS, window)
    (shown,) = shown_layers(reading.of_tokens, places)
    (head,) = shown.as_read(reading).heads([label.head], steps, window)
    evidence = _Glance(reading.of_tokens, shown.layer, label.head).evidence(label.pattern)
    layers, heads = len(reading.extent.layers), reading.extent.heads
    return DefaultHead(
        head, shown, layers * heads, layers, stands_out=True, label=label, probe=probe, evidence=evidence
    )


def describe_layer_choice(reading: Reading, default: DefaultHead) -> str:
    """Why the layer of the head is shown, if only steps of a whole layer are."""
    return f"layer {default.shown.number} is shown, that of head {default.head.name}{_why(reading, default)}"


def describe_choice(reading: Reading, default: DefaultHead) -> Iterator[str]:
    """Why the head is shown, and what it does on this text, in one to three sentences."""
    yield f"head {default.head.name} is shown{_why(reading, default)}"
    evidence, pair = default.evidence, default.clearest
    if evidence is not None:
        pair = evidence.clearest if evidence.pattern is not Pattern.PREVIOUS else None
        example = "" if pair is None else f"; {_look(reading, pair)}"
        rows = "row" if evidence.rows == 1 else "rows"
        average = f"{evidence.score:.2f} of its weight there on average ({evidence.rows:,} {rows})"
        yield f"on this text it puts {average}{example}"
    elif pair is not None:
        yield f"on this text, {_look(reading, pair)}"
    if default.head.sink is not None:
        yield f"its learned sink takes {default.head.sink.weight.mean():.2f} of its weight on average"


def _why(reading: Reading, default: DefaultHead) -> str:
    """The part of the sentence that gives the reason."""
    if default.label is not None:
        pattern = default.label.pattern
        where = "" if default.probe is None else f" on random tokens (probe of {default.probe.date})"
        return f", the clearest {pattern} head of {default.out_of}{where}: {_DOES[pattern]}"
    total = len(reading.extent.layers)
    those = f"of the {default.out_of} heads"
    if default.layers < total:
        first = "first layer" if default.layers == 1 else f"first {default.layers} layers"
        those = f"of the {default.out_of} heads in the {first} (of {total})"
    if not default.stands_out:
        return f", the first of {default.out_of}: the text is too short for any head to stand out"
    does = "" if default.evidence is None else f"; {_DOES[default.evidence.pattern]}"
    return f": {those}, it attends most sharply to distant tokens{does}"


def _look(reading: Reading, pair: TokenPair) -> str:
    """A pair of tokens and its weight, in words."""
    query, key = reading.of_tokens.queries[pair.query], reading.of_tokens.keys[pair.key]
    return f"{_named(query)} puts {pair.weight:.2f} of its weight on {_named(key)}"


def _named(token: Token) -> str:
    return f'"{token_label(token.text)}" ({token.position})'


def best_label(reading: Reading, probe: StoredProbe | None) -> HeadLabel | None:
    """The best label for a pattern that occurs in this text; None if the model has no labels."""
    known = reading.source.head_labels() if probe is None else probe.labels(reading.kind)
    labels = [label for label in known if label.kind is reading.kind]
    if not labels:
        return None
    pattern = choose_pattern(np.asarray([token.id for token in reading.tokens]))
    candidates = [label for label in labels if label.pattern in (pattern, Pattern.PREVIOUS)]
    return min(candidates, key=lambda label: (label.pattern is not pattern, -label.score), default=None)


def _sharpest(reading: Reading, steps: Collection[Step] | None, window: Window) -> DefaultHead:
    """The head with the sharpest attention in the layers that can be run in about a second."""
    layers = layers_to_choose_from(reading)
    check_heads_fit(reading, [(max(layers), 0)], steps or DEFAULT_STEPS, window)
    best: tuple[float, ShownLayer, int] | None = None
    for number, layer in run_layers(reading.of_tokens, layers):
        sharp = sharpness_of(reading.of_tokens, layer)
        head = int(sharp.argmax())  # argmax returns a NaN if there is one
        check_finite(bool(np.isfinite(sharp[head])), f"weights of head {number}.{head}")
        if best is None or sharp[head] > best[0]:
            best = (float(sharp[head]), ShownLayer(reading.kind, number, layer), head)
    assert best is not None, "a model has a layer"
    sharpest, shown, head = best
    (chosen,) = shown.as_read(reading).heads([head], steps, window)
    out_of = len(layers) * reading.extent.heads
    if not sharpest > 0:
        return DefaultHead(chosen, shown, out_of, len(layers), stands_out=False)
    glance = _Glance(reading.of_tokens, shown.layer, head)
    evidence, clearest = glance.named_evidence(), glance.clearest
    return DefaultHead(
        chosen, shown, out_of, len(layers), stands_out=True, evidence=evidence, clearest=clearest
    )


@unwarned
def find_query(reading: Reading, layer: Layer, head: int, key: int | None = None) -> int:
    """The query with the sharpest attention of a head, or with the largest weight on `key`.

    Of a long text, only its first 512 tokens are looked at.

    Raises:
        UsageError: the key is beyond them.
    """
    glance = _Glance(reading, layer, head)
    return glance.clearest.query if key is None else glance.query_of(key)


def last_layer_to_run(reading: Reading, probe: StoredProbe | None) -> int:
    """The last layer that is needed to choose the default head."""
    label = best_label(reading, probe)
    return max(layers_to_choose_from(reading)) if label is None else label.layer


def layers_to_choose_from(reading: Reading) -> Sequence[int]:
    """All layers if running them takes a second or less, else the first ones: of a long text, fewer."""
    layers = reading.extent.layers
    if _seconds(reading, 1 + max(layers)) <= 1:
        return layers
    first = layers[:_LAYERS_TO_CHOOSE_FROM]
    if reading.source.backend.device != "cpu":
        return first
    return [layer for layer in first if layer == first[0] or _seconds(reading, layer) <= _MOST_SECONDS]


def _seconds(reading: Reading, layers: int) -> float:
    """How long it takes to run this many layers."""
    width, of_tokens = reading.source.card.width, reading.of_tokens
    operations = estimate_operations(width, layers, len(of_tokens.queries), len(of_tokens.keys))
    weights = 12 * layers * width**2  # four attention matrices, and a feed-forward layer four times as wide
    return operations / _OPERATIONS_PER_SECOND + weights / _WEIGHTS_PER_SECOND


class _Glance:
    """The weights of one head on a text, or on the first tokens of a long text."""

    def __init__(self, reading: Reading, layer: Layer, head: int) -> None:
        self._reading = reading
        few = slice(None if reading.whole.fits else _TOKENS_TO_CHOOSE_BY)
        self._queries, self._keys = reading.queries[few], reading.keys[few]
        first = layer.at(range(len(self._queries)))
        self._weights = _weights(first, [head])[0, :, few]
        self._mask = to_numpy(first.mask)[:, few]

    @property
    def clearest(self) -> TokenPair:
        """The pair of tokens with the sharpest attention."""
        keys = are_special(self._keys) if self._reading.kind is Kind.CROSS else None
        query, key = find_sharpest_pair(self._weights, are_special(self._queries), keys)
        return TokenPair(query, key, float(self._weights[query, key]))

    def query_of(self, key: int) -> int:
        """The query with the largest weight on a key.

        Raises:
            UsageError: the key is beyond the tokens that are looked at.
        """
        if key >= self._weights.shape[1]:
            count = self._weights.shape[1]
            problem = f"key {key} is beyond the first {count:,} tokens, from which a query is chosen"
            raise UsageError(problem, f"--query {key}")
        return int(self._weights[:, key].argmax())

    def evidence(self, pattern: Pattern) -> Evidence | None:
        """How clearly the head shows a pattern."""
        return find_evidence(self._weights, self._mask, self._tokens, pattern)

    def named_evidence(self) -> Evidence | None:
        """The evidence for the long-range pattern that the head has its name from on this text.

        None if there is none: too few rows name no head.
        """
        if self._reading.kind is Kind.CROSS:
            return None
        counted = find_evidence_rows(self._tokens, self._mask.sum(axis=-1))
        found = (
            find_evidence(self._weights, self._mask, self._tokens, pattern, counted[pattern])
            for pattern in (Pattern.INDUCTION, Pattern.DUPLICATE)
        )
        enough = [one for one in found if one and is_enough(one.pattern, one.rows, one.different)]
        by_pattern = {evidence.pattern: evidence for evidence in enough}
        name = name_pattern({pattern: evidence.score for pattern, evidence in by_pattern.items()})
        return None if name is None else by_pattern[name]

    @property
    def _tokens(self) -> KeyTokens:
        return KeyTokens(np.asarray([token.id for token in self._keys]), are_special(self._keys))


def sharpness_of(reading: Reading, layer: Layer) -> npt.NDArray[np.floating]:
    """(H,) how sharp the attention of each head is on the text, or on the first tokens of a long text."""
    queries = are_special(reading.queries)
    keys = are_special(reading.keys) if reading.kind is Kind.CROSS else None
    if reading.whole.fits:
        return measure_sharpness(_weights(layer, range(layer.heads)), queries, keys)
    few = slice(_TOKENS_TO_CHOOSE_BY)
    first = layer.at(range(queries[few].size))
    weights = (_weights(first, [head])[..., few] for head in range(layer.heads))
    special = None if keys is None else keys[few]
    return np.concatenate([measure_sharpness(of_head, queries[few], special) for of_head in weights])


def _weights(layer: Layer, heads: Sequence[int]) -> Matrix:
    """The weights (H, T, S) of the heads."""
    return to_numpy(layer.steps(heads, {Step.WEIGHTS})[Step.WEIGHTS])


def are_special(tokens: Sequence[Token]) -> npt.NDArray[np.bool_]:
    """Which tokens are special, not text."""
    return np.asarray([token.special for token in tokens])
