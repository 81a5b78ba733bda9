"""Estimates how much memory a reading needs, before it starts.

What does not fit is refused with both numbers, instead of swapping or being killed without an explanation.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from attn_cli.errors import AttnError
from attn_cli.models.source import Source
from attn_cli.reading.long_texts.duration import check_duration, layers_of
from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place
from attn_cli.reading.window import LARGEST, Window
from attn_cli.record import record
from attn_cli.vocabulary import Step

_SMALL = 1 << 21  # numbers: about 100 MB in all, which is not worth checking
_ROOM = 0.9  # of the free memory: the estimate is inexact, and other processes need memory too
_NUMBERS_OF_A_LAYER = 12  # times M²: 4 for attention, 8 for feed-forward (arXiv:2001.08361, table 1)
_VECTORS = 14  # of M features held per token: X, Q, K, V, context, output, and what is not freed yet
_MATRICES = 4.5  # of T × S held per head: scores, logits, exponentials, weights, and the mask
_NUMBA = 80 << 20  # bytes numba needs for itself
_BLOCK = 40 << 20  # bytes of buffers of `summarise` on the CPU, per thread
_LARGE_BLOCK = 700 << 20  # the same on an accelerator
_FACTS = 24  # numbers per query of a measured head
_PROGRAM = 0.4e9  # bytes PyTorch needs for itself once it computes
_HALF = 2  # bytes per number
_LISTED, _LISTED_KEY = 4, 3  # numbers held per listed row, and per key of it: a position takes two


@record(frozen=True, slots=True)
class Work:
    """What is to be computed: a number of layers of a text, and whole matrices of some heads."""

    queries: int  # T
    keys: int  # S
    layers: int  # that run
    at_once: int = 0  # heads of one layer whose matrices are held at the same time
    rows: int = 0  # of each of those matrices
    kept: int = 0  # numbers in matrices that are kept until the end
    measured: int = 0  # heads of which only metrics are kept
    kept_weights: int = 0  # bytes of weights that are held from one token to the next


@record(frozen=True, slots=True)
class Need:
    """Estimated memory, in bytes."""

    weights: float
    activations: float
    matrices: float

    @property
    def total(self) -> float:
        """The sum of the three."""
        return self.weights + self.activations + self.matrices


def need(source: Source, work: Work) -> Need:
    """Estimate the peak memory of the work.

    Our own transformer holds one layer at a time; a transformers model holds all layers that run.
    """
    card, size = (
        source.card,
        _HALF if source.backend.dtype.is_half else 8 if "64" in source.backend.dtype else 4,
    )
    layer = _NUMBERS_OF_A_LAYER * card.width**2
    held = 1 if source.engine == "native" else work.layers
    tokens = max(work.queries, work.keys)
    program = _PROGRAM if source.backend.name == "torch" else 0.0
    shown = (work.at_once * _MATRICES * work.rows * work.keys + work.kept) * max(size, 4)
    facts = work.measured * work.queries * _FACTS * 4 + (_stream(source) if work.measured else 0)
    return Need(
        program + max(held * layer * size, work.kept_weights),
        tokens * card.width * _VECTORS * max(size, 4),
        shown + facts,
    )


def _stream(source: Source) -> int:
    if source.backend.device != "cpu":
        return _LARGE_BLOCK
    if source.backend.name != "torch":
        return _BLOCK
    import torch  # already imported: it computes there

    return _NUMBA + _BLOCK * torch.get_num_threads()


def check(source: Source, work: Work, hint: str) -> None:
    """Check that the work fits into free memory.

    Raises:
        AttnError: it does not; `hint` says what to try.
    """
    from attn_cli.models.free_memory import free_on  # psutil: 0.03 s, and short texts do without

    free, asked = free_on(source.devices), need(source, work)
    if free is not None and asked.total > _ROOM * free:
        parts = {"weights": asked.weights, "activations": asked.activations, "matrices": asked.matrices}
        listed = ", ".join(f"{name} {_gigabytes(size)}" for name, size in parts.items())
        where = "" if source.backend.device == "cpu" else f" on {source.backend.device}"
        problem = f"not enough memory: this needs about {_gigabytes(asked.total)} GB ({listed})"
        otherwise = "" if not where else ", or --device cpu"
        raise AttnError(f"{problem}, and {_gigabytes(free)} GB are free{where}", hint + otherwise)


def check_run_fits(reading: Reading, kept: int, hint: str) -> None:
    """Check that a run of all layers, with `kept` numbers of results, fits into memory and into `MOST_HOURS`.

    Raises:
        AttnError: it does not; `hint` says what to try if memory is short.
    """
    card, tokens = reading.source.card, max(len(reading.tokens), len(reading.texts.target))
    check_duration(reading, card.layers)
    if reading.source.engine == "native" and tokens * card.width + card.width**2 + kept <= _SMALL:
        return
    check(reading.source, Work(tokens, tokens, card.layers, kept=kept), hint)


def check_heads_fit(
    reading: Reading, places: Sequence[Place], steps: Collection[Step], window: Window
) -> None:
    """Check that the heads, within the window, fit into free memory, and their layers into `MOST_HOURS`.

    Raises:
        AttnError: they do not.
    """
    by_layer = Counter(layer for layer, _ in places)
    most, card = max(by_layer.values()), reading.source.card
    check_duration(reading, layers_of(places, reading.extent.heads, window))
    rows, kept = _numbers_of(places, steps, window, most)
    vectors = max(window.queries, window.keys) * card.width + card.width**2
    if reading.source.engine == "native" and kept + most * rows * window.keys + vectors <= _SMALL:
        return
    work = Work(window.queries, window.keys, 1 + max(by_layer), most, rows, kept, int(window.is_pooled))
    check(reading.source, work, "--rows 0-99, fewer layers or heads, or attn heads, which needs no matrices")


def _numbers_of(
    places: Sequence[Place], steps: Collection[Step], window: Window, most: int
) -> tuple[int, int]:
    """How many whole rows of a head are held at once, and how many numbers of all heads are kept.

    `most`: the heads of one layer.
    """
    if window.is_pooled:
        return 0, len(places) * window.most**2
    matrices = sum(step.is_pairwise for step in steps)
    kept = len(places) * matrices * len(window.rows)
    if window.top:
        together = max(1, LARGEST // (window.keys * most))
        return min(len(window.rows), together), kept * (_LISTED + _LISTED_KEY * window.top)
    kept *= len(window.columns)
    return min(len(window.rows), max(1, LARGEST // window.keys)), kept


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f}"
