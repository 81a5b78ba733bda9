"""Measures the patterns of a model's heads on random tokens that are repeated, as Olsson et al. 2022 do.

What a head does on a text depends on the text. Random tokens mean nothing, and a sequence of different ones
that occurs twice has a row of evidence for every pattern at each token of the second copy
(arXiv:2209.11895, the prefix matching score). Several lengths, so that a head that looks a fixed distance
back is no induction head.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import numpy.typing as npt

from attn_cli.analysis.head_summary import HeadSummary, MeasuredText, summarise_texts, with_sink_metric
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import metrics_of_kind
from attn_cli.core.streaming.row_metrics import RowMetrics
from attn_cli.core.streaming.stream import RowProgress
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.source import Layer, Source, Texts
from attn_cli.models.tokens.token import Token
from attn_cli.reading.default_head import are_special
from attn_cli.reading.memory import Work, check
from attn_cli.reading.probe_store import StoredProbe
from attn_cli.reading.reading import Reading, TextRequest, check_kind
from attn_cli.reading.steps import check_finite, unwarned
from attn_cli.record import record
from attn_cli.vocabulary import Kind

SEQUENCES = 4
LONGEST = 62  # tokens: a window of 64 keys reaches from a token of the second copy to its first
_SHORTER = 4  # tokens: the next sequence has so many fewer
_PER_STEP = 15  # tokens of the longest sequence for each token that the next one is shorter
_SHORTEST = 8  # tokens of the longest sequence: with fewer a name has little evidence
_SAMPLE = "a"  # a text that shows which special tokens frame one


@record(frozen=True, slots=True)
class Frame:
    """The special tokens before and after the text that a model reads."""

    before: tuple[Token, ...]
    after: tuple[Token, ...]


@record(frozen=True, slots=True)
class ProbePlan:
    """Which random tokens a model reads; the same seed gives the same ones."""

    kind: Kind
    seeds: tuple[int, ...]
    lengths: tuple[int, ...]  # of each sequence, which occurs twice
    texts: tuple[Texts, ...]
    first_rows: tuple[int, ...]  # of each text: where the second copy begins

    @property
    def rows(self) -> int:
        """The rows that count: all of the second copies."""
        return sum(self.lengths)


def plan_probe(source: Source, kind: Kind | None, seed: int) -> ProbePlan:
    """Draw the random tokens for one kind of attention, by default the model's first.

    Raises:
        UsageError: the model has no such kind, or it is cross-attention, in which no token has a copy.
        AttnError: the model has too few positions, or too few ordinary tokens.
    """
    kind = kind or next(iter(source.kinds))
    check_kind(kind, source)
    if kind is Kind.CROSS:
        problem = (
            "--probe measures self-attention: the queries and keys of cross attention are different texts"
        )
        raise UsageError(problem, f"--kind {' or '.join(each for each in source.kinds if each is not kind)}")
    sides = (kind,) if kind is not Kind.DECODER else (Kind.ENCODER, Kind.DECODER)
    frames = {side: _frame(source, side) for side in sides}
    words = {side: _ordinary(source, side) for side in sides}
    lengths = _lengths(source, min(map(len, words.values())), max(map(_framing, frames.values())))
    seeds = tuple(range(seed, seed + SEQUENCES))
    texts = []
    for one, length in zip(seeds, lengths, strict=True):
        draw = np.random.default_rng(one)
        read = {side: _framed(frames[side], _twice(words[side], length, draw)) for side in sides}
        texts.append(Texts(read[sides[0]], read.get(Kind.DECODER, ())))
    firsts = tuple(len(frames[kind].before) + length for length in lengths)
    return ProbePlan(kind, seeds, lengths, tuple(texts), firsts)


@unwarned
def run_probe(source: Source, plan: ProbePlan, progress: RowProgress) -> list[HeadSummary]:
    """Measure every head of the kind on the second copies; layers without attention are left out.

    Raises:
        AttnError: the weights are damaged, a head's weights are not finite numbers, or memory is too small.
    """
    extent = source.kinds[plan.kind]
    rows = max(len(text.queries(plan.kind)) for text in plan.texts)
    work = Work(rows, rows, layers=1 + max(extent.layers), measured=len(extent.layers) * extent.heads)
    check(source, work, "a smaller model")
    measured = _measured_texts(source, plan, progress)
    heads = [
        summary
        for layer, texts_of_layer in measured.items()
        for summary in summarise_texts(
            texts_of_layer, plan.kind, layer, range(extent.heads), source.backend.dtype
        )
    ]
    return with_sink_metric(heads, has_sinks=extent.has_sinks)


def _measured_texts(source: Source, plan: ProbePlan, progress: RowProgress) -> dict[int, list[MeasuredText]]:
    """The metrics of each layer on each text."""
    layers = source.kinds[plan.kind].layers
    measured: dict[int, list[MeasuredText]] = {layer: [] for layer in layers}
    total, done = sum(len(texts.queries(plan.kind)) for texts in plan.texts) * len(layers), 0
    for texts, first_row in zip(plan.texts, plan.first_rows, strict=True):
        tokens = texts.queries(plan.kind)
        keys = KeyTokens(np.asarray([token.id for token in tokens]), are_special(tokens))
        attentions = source.attentions(texts, plan.kind, layers)
        for layer, attention in zip(layers, attentions, strict=True):
            metrics = _measured(attention, layer, plan.kind, keys)
            measured[layer].append(MeasuredText(metrics, keys, first_row, is_later_only=True))
            done += len(tokens)
            progress(done, total)
    return measured


def stored(plan: ProbePlan, heads: Sequence[HeadSummary]) -> StoredProbe:
    """The result of a probe as it is kept, with today's date."""
    shares = {(head.layer, head.head): head.patterns for head in heads}
    return StoredProbe(date.today().isoformat(), plan.seeds, plan.lengths, shares)  # noqa: DTZ011  for people


def reading_of(source: Source, plan: ProbePlan) -> Reading:
    """A reading without a text, with the library and device that run the probe fastest."""
    extent = source.kinds[plan.kind]
    first = Reading(TextRequest("", kind=plan.kind), source, plan.texts[0], plan.kind)
    suited = first.with_suited_backend(1 + max(extent.layers))
    return replace(suited, texts=Texts(()))


def _measured(attention: Layer, layer: int, kind: Kind, keys: KeyTokens) -> RowMetrics:
    """The metrics of all heads of a layer; the special tokens at the end are not rows that count."""
    metrics = [metric for metric in metrics_of_kind(kind) if not metric.is_written]
    measured = attention.measure(range(attention.heads), metrics, keys)
    for head, is_finite in enumerate(measured.are_finite):
        check_finite(bool(is_finite), f"weights of head {layer}.{head}")
    assert keys.special is not None, "known for every model"
    eligible = {metric: rows & ~keys.special for metric, rows in measured.eligible.items()}
    return replace(measured, eligible=eligible)


def _frame(source: Source, kind: Kind) -> Frame:
    """The special tokens that the model's tokenizer puts around a text."""
    tokens = source.target_tokens(_SAMPLE) if kind is Kind.DECODER else source.tokens(_SAMPLE, None)
    added = [token.special and token.start == token.end for token in tokens]
    before = added.index(False) if False in added else len(added)
    after = added[::-1].index(False) if False in added else 0
    return Frame(tokens[:before], () if kind is Kind.DECODER else tokens[len(tokens) - after :])


def _framing(frame: Frame) -> int:
    return len(frame.before) + len(frame.after)


def _ordinary(source: Source, kind: Kind) -> Sequence[tuple[int, str]]:
    """The ids and texts of tokens that are nothing but letters, in ascending order of their ids."""
    return sorted((index, text) for index, text in source.vocabulary(kind).items() if text.strip().isalpha())


def _lengths(source: Source, words: int, framing: int) -> tuple[int, ...]:
    """The length of each sequence, as long as the model and its vocabulary allow.

    Raises:
        AttnError: it is too short to name a head.
    """
    room = LONGEST if source.longest is None else min(LONGEST, (source.longest - framing) // 2)
    longest = min(room, words)
    if longest < _SHORTEST:
        lacks = f"{words} tokens of letters" if words < room else f"{source.longest} positions"
        problem = f"{source.card.name} cannot be probed: it has {lacks}, too few for a random sequence"
        raise AttnError(problem, 'name heads by a text instead: attn heads "..."')
    step = max(1, min(_SHORTER, longest // _PER_STEP))
    return tuple(longest - step * number for number in range(SEQUENCES))


def _twice(words: Sequence[tuple[int, str]], length: int, draw: np.random.Generator) -> Iterator[Token]:
    """Different random words, and the same again."""
    chosen: npt.NDArray[np.int64] = draw.permutation(len(words))[:length]
    for place in (*chosen, *chosen):
        index, text = words[place]
        yield Token(0, index, text, text, start=0, end=0, special=False, segment=0)


def _framed(frame: Frame, tokens: Iterator[Token]) -> tuple[Token, ...]:
    """The tokens between the special ones, with their positions."""
    everything = (*frame.before, *tokens, *frame.after)
    return tuple(replace(token, position=position) for position, token in enumerate(everything))
