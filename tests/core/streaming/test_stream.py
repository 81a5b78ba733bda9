"""`summarise` agrees with full matrices, for any layer and any block size."""

import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_cli.core import context as attending
from attn_cli.core import masks
from attn_cli.core.arrays import Array, to_numpy
from attn_cli.core.attention import Bias, Operands, Trace, trace
from attn_cli.core.context import attend
from attn_cli.core.positions import Buckets, RelativeBias, alibi
from attn_cli.core.streaming import stream
from attn_cli.core.streaming.blocks import CPU, choose_cell_size, plan_layout
from attn_cli.core.streaming.kernels import TorchKernels, choose_kernels
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.rows import StepwiseMeasurer
from attn_cli.core.streaming.stream import summarise
from attn_cli.core.streaming.summary import Summary
from attn_cli.core.streaming.threads import share_out
from attn_cli.vocabulary import Metric, Pool
from tests.support.full_matrices import Expected, means_of_cells, summary_of
from tests.support.libraries import LIBRARIES, Convert

Numbers: TypeAlias = npt.NDArray[Any]

# Metrics are sums of up to a few hundred float32 products whose logits are up to 40: 40 · 2⁻²⁴ each.
EXACT = 2e-5
Make: TypeAlias = Callable[[Array, int], masks.Rule]
RULES: dict[str, Make] = {
    "everywhere": lambda _, __: masks.everywhere,
    "causal": lambda _, __: masks.causal,
    "window": lambda _, width: masks.both(masks.causal, masks.sliding(width)),
    "nearby": lambda _, width: masks.nearby(width),
    "padding": lambda real, _: masks.padding(real),
    "causal and padding": lambda real, _: masks.both(masks.causal, masks.padding(real)),
}


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


ELSEWHERE = {metric for metric in Metric if metric.is_written or metric.is_effect}  # not of weights alone
EVERY = tuple(metric for metric in Metric if metric not in {Metric.HIDDEN, *ELSEWHERE})
OF_KEYS = {Metric.RECEIVED}


COMPILED = {"compiled": "torch", "many texts": "numpy"}
"""Ways to compiled code, and the library of the operands."""


def compiled_or_not(patch: pytest.MonkeyPatch, way: str) -> None:
    patch.setattr(stream, "_WORTH_COMPILING", 0 if way == "compiled" else math.inf)
    patch.setattr(stream, "_has_many_texts", ContextVar("_", default=way == "many texts"))


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=[*LIBRARIES, *COMPILED])
def array(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Convert:
    compiled_or_not(monkeypatch, request.param)
    return LIBRARIES[COMPILED.get(request.param, request.param)]


def on_device(values: npt.ArrayLike) -> Array:
    return torch.tensor(np.asarray(values), device=DEVICE)


_NEXT_TO_NOTHING = 1e-30  # compiled, a weight below e^-87 beside the sink's is 0


def same(summary: Summary, expected: Expected) -> None:
    assert list(summary.values) == [metric for metric in Metric if metric in expected.values]
    for metric, numbers in expected.values.items():
        scale = len(expected.weights[0]) if metric in {Metric.DISTANCE, Metric.RECEIVED} else 1.0
        values, exact = to_numpy(summary.values[metric]), numbers
        if metric is Metric.DISTANCE:  # of rows with next to no weight on tokens, which count for nothing
            rows = expected.weights.sum(axis=-1) > _NEXT_TO_NOTHING
            values, exact = values[rows], numbers[rows]
        np.testing.assert_allclose(values, exact, EXACT, EXACT * scale, err_msg=metric)
    np.testing.assert_allclose(to_numpy(summary.logsumexp), expected.logsumexp, EXACT, EXACT)
    np.testing.assert_array_equal(to_numpy(summary.visible_keys), expected.mask.sum(axis=-1))
    np.testing.assert_allclose(to_numpy(summary.picture), expected.picture, EXACT, EXACT)


def row_values(summary: Summary, *metrics: Metric) -> list[Numbers]:
    return [to_numpy(summary.values[metric]) for metric in metrics]


def layer_of(draw: Any, array: Convert) -> tuple[Operands, Numbers, Numbers]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups, times = draw(st.sampled_from([1, 2])), draw(st.sampled_from([1, 3]))
    heads, size = groups * times, draw(st.sampled_from([3, 8]))
    queries = draw(st.integers(1, 90))
    keys = draw(st.one_of(st.just(queries), st.integers(1, 90)))
    real = array(rng.random(keys) < draw(st.sampled_from([0.0, 0.7, 1.0])))
    q, k, v = (
        array(rng.normal(0, 2, (count, rows, size)).astype(np.float32))
        for count, rows in ((heads, queries), (groups, keys), (groups, keys))
    )
    match draw(st.sampled_from(["none", "none", "alibi", "relative"])):
        case "alibi":
            bias: Bias | None = alibi(heads, q)
        case "relative":
            table = array(rng.normal(0, 2, (8, heads)).astype(np.float32))
            bias = RelativeBias(table, Buckets(8, 20, both_sides=True))
        case _:
            bias = None
    operands = Operands(
        q,
        k,
        v,
        scale=draw(st.sampled_from([1.0, size**-0.5])),
        mask=RULES[draw(st.sampled_from(sorted(RULES)))](real, draw(st.sampled_from([1, 5, 40]))),
        bias=bias,
        softcap=draw(st.sampled_from([None, 2.0])),
        sink=draw_sink(draw, rng, array, heads, queries),
    )
    return operands, rng.integers(0, 5, keys), rng.random(keys) < 0.2


def draw_sink(draw: Any, rng: np.random.Generator, array: Convert, heads: int, rows: int) -> Array | None:
    """None, a logit per head, or a logit per head and row; some are far above or below the scores."""
    shape = draw(st.sampled_from([None, (heads,), (heads, rows)]))
    spread = draw(st.sampled_from([2.0, 30.0]))
    return None if shape is None else array(rng.normal(0, spread, shape).astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("way", [*LIBRARIES, *COMPILED, "accelerator"])
@given(data=st.data())
@settings(max_examples=60)
def test_metrics_equal_those_of_full_matrices(way: str, data: st.DataObject) -> None:
    """`accelerator`: the GPU code path, on the GPU if there is one, else on the CPU."""
    make = on_device if way == "accelerator" else LIBRARIES[COMPILED.get(way, way)]
    operands, ids, special = layer_of(data.draw, make)
    on = ids == data.draw(st.sampled_from([0, 9]))  # some keys, or none
    tokens = KeyTokens(ids if operands.queries.shape[1] == len(ids) else None, special, on=on)
    picture, pool = data.draw(st.sampled_from([4, 33, 1024])), data.draw(st.sampled_from(Pool))
    rows, chunk = data.draw(st.sampled_from([1, 7, 32, None])), data.draw(st.sampled_from([16, 48, 2048]))
    with pytest.MonkeyPatch.context() as patch:
        compiled_or_not(patch, way)
        kernels = TorchKernels(torch, way) if way == "accelerator" else choose_kernels(operands.queries)
        patch.setattr(stream, "choose_kernels", lambda _: kernels)
        sizes, measurer = stream.choose_measurer(operands, kernels, EVERY)
        patch.setattr(stream, "choose_measurer", lambda *_: (replace(sizes, chunk=chunk), measurer))
        summary = summarise(operands, tokens=tokens, picture=picture, pool=pool, rows=rows)
    same(summary, summary_of(operands, tokens, picture, pool))


@pytest.mark.parametrize("way", [*LIBRARIES, *COMPILED])
@given(data=st.data())
@settings(max_examples=60)
def test_some_rows_alone_have_the_metrics_that_they_have_among_all(way: str, data: st.DataObject) -> None:
    operands, ids, special = layer_of(data.draw, LIBRARIES[COMPILED.get(way, way)])
    count = operands.queries.shape[1]
    chosen = st.lists(st.integers(0, count - 1), min_size=1, unique=True).map(sorted)
    spans = st.tuples(st.integers(0, count - 1), st.integers(1, count)).map(lambda span: range(*span))
    rows = list(data.draw(chosen | spans) or [count - 1])
    tokens = KeyTokens(ids if count == len(ids) else None, special, on=ids == 1)
    with pytest.MonkeyPatch.context() as patch:
        compiled_or_not(patch, way)
        found = summarise(operands.at(rows), tokens=replace(tokens, rows=np.array(rows)))
    whole = summary_of(operands, tokens, 1024)
    assert list(found.values) == [metric for metric in Metric if metric in whole.values]
    for metric in set(found.values) - OF_KEYS:
        values, exact = to_numpy(found.values[metric]), whole.values[metric][:, rows]
        if metric is Metric.DISTANCE:
            looks = whole.weights[:, rows].sum(axis=-1) > _NEXT_TO_NOTHING
            values, exact = values[looks], exact[looks]
        scale = len(ids) if metric is Metric.DISTANCE else 1
        np.testing.assert_allclose(values, exact, EXACT, EXACT * scale, err_msg=metric)
    received = whole.weights[:, rows].sum(axis=-2)
    np.testing.assert_allclose(to_numpy(found.values[Metric.RECEIVED]), received, EXACT, EXACT * len(rows))


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data())
@settings(max_examples=60)
def test_a_context_without_steps_equals_that_of_the_matrices(library: str, data: st.DataObject) -> None:
    operands, *_ = layer_of(data.draw, LIBRARIES[library])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attending, "_LARGE", data.draw(st.sampled_from([1, 500, 3000])))
        context = attend(operands)
    # logits of up to 50 are rounded in either route, by 50 · 2⁻²⁴ each, and so the weights of values up to 9
    np.testing.assert_allclose(to_numpy(context), to_numpy(trace(operands).context), 1e-5, 5e-5)


@pytest.mark.parametrize(("tokens", "is_whole"), [(1024, True), (1025, False)])
def test_matrices_of_more_than_4_million_scores_are_computed_in_blocks(
    tokens: int, is_whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks: list[int] = []

    def trace_block(operands: Operands) -> Trace:
        blocks.append(operands.queries.shape[1])
        return trace(operands)

    monkeypatch.setattr(attending, "trace", trace_block)
    x = np.ones((4, tokens, 1), np.float32)
    attend(Operands(x, x, x, 1.0))
    assert sum(blocks) == tokens
    assert (len(blocks) == 1) == is_whole


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_half_precision_is_measured_in_float32_and_float64_in_itself(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled_or_not(monkeypatch, "compiled")
    torch.manual_seed(0)
    q, k = (torch.randn(2, 50, 8, dtype=dtype, device=DEVICE) for _ in range(2))
    found = summarise(Operands(q, k, k, 1.0, masks.causal), picture=8)
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    assert found.values[Metric.ENTROPY].dtype == exact
    fine = Operands(q.to(exact), k.to(exact), k.to(exact), 1.0, masks.causal)
    expected = trace(fine).weights.double()
    entropy = -torch.special.xlogy(expected, expected).sum(dim=-1)
    # float32: logits of up to 20, 2⁻²⁴ each; float64: 2⁻⁵³
    np.testing.assert_allclose(
        to_numpy(found.values[Metric.ENTROPY]), to_numpy(entropy), 0, 1e-11 if exact == dtype else 1e-5
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_only_float32_is_compiled_and_only_with_numba(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled_or_not(monkeypatch, "compiled")
    q = torch.ones(1, 3, 2, dtype=dtype)
    operands = Operands(q, q, q, 1.0)
    is_compiled = dtype == torch.float32
    assert measurer_of(operands) == ("CompiledMeasurer" if is_compiled else "StepwiseMeasurer")
    monkeypatch.delitem(sys.modules, "attn_cli.core.streaming.compiled", raising=False)
    monkeypatch.setitem(sys.modules, "numba", None)  # what Python does where it is not installed
    assert measurer_of(operands) == "StepwiseMeasurer"


def test_a_metric_that_is_not_compiled_is_measured_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    from attn_cli.core.streaming import compiled  # numba, which may be missing

    compiled_or_not(monkeypatch, "compiled")
    q = torch.ones(1, 3, 2)
    monkeypatch.setattr(compiled, "MEASURED", compiled.MEASURED[1:])
    assert measurer_of(Operands(q, q, q, 1.0)) == "StepwiseMeasurer"
    assert measurer_of(Operands(q, q, q, 1.0), {Metric.LARGEST, Metric.RECEIVED}) == "CompiledMeasurer"


def test_short_texts_are_compiled_if_they_are_many() -> None:
    q = np.ones((1, 3, 2), np.float32)
    operands = Operands(q, q, q, 1.0)
    assert measurer_of(operands) == "StepwiseMeasurer"
    with stream.with_many_texts():
        assert measurer_of(operands) == "CompiledMeasurer"
        assert measurer_of(operands, {Metric.LARGEST, Metric.RECEIVED}) == "CompiledMeasurer"
    assert measurer_of(operands) == "StepwiseMeasurer"


@pytest.mark.parametrize(("tokens", "name"), [(1672, "StepwiseMeasurer"), (1673, "CompiledMeasurer")])
def test_a_layer_is_compiled_above_33_million_scores(tokens: int, name: str) -> None:
    q = torch.ones(12, tokens, 1)
    assert measurer_of(Operands(q, q, q, 1.0)) == name


@pytest.mark.parametrize(("heads", "rows"), [(2, 256), (32, 16), (64, 16)])
def test_the_more_heads_have_a_bias_the_fewer_rows_a_block_has(heads: int, rows: int) -> None:
    x = np.ones((heads, 600, 1), np.float32)
    told: list[int] = []
    summarise(Operands(x, x, x, 1.0, masks.nearby(1), alibi(heads, x)), progress=lambda n, _: told.append(n))
    assert told[0] == rows


def measurer_of(operands: Operands, metrics: Collection[Metric] = EVERY) -> str:
    _, measurer = stream.choose_measurer(operands, choose_kernels(operands.queries), metrics)
    return measurer.__name__


@pytest.mark.parametrize("rule", ["everywhere", "window"])
def test_rows_longer_than_what_is_searched_at_once_and_cells_wider(array: Convert, rule: str) -> None:
    """The compiled search processes 128 columns at once; cells of more than 64 rows are rounded up."""
    rng = np.random.default_rng(0)
    q, k = (array(rng.normal(0, 2, (2, 700, 8)).astype(np.float32)) for _ in range(2))
    operands = Operands(q, k, k, 0.3, RULES[rule](q, 400))
    tokens = KeyTokens(None, rng.random(700) < 0.1)
    summary = summarise(operands, tokens=tokens, picture=7)
    assert summary.cells == (128, 128)
    expected = summary_of(operands, tokens, 6)  # 700 in cells of 128
    same(summary, replace(expected, picture=means_of_cells(expected.weights, 128, 128)))


def test_few_cells_do_not_enlarge_blocks() -> None:
    from attn_cli.core.streaming.compiled import SIZES  # numba, which may be missing

    sizes = (choose_cell_size(50_000, 50_000, most) for most in (1024, 10))
    large, small = (plan_layout(50_000, 50_000, size, SIZES).rows for size in sizes)
    assert max(small, large) * 50_000 <= SIZES.numbers


def test_rows_whose_sink_takes_all_weight_have_none(array: Convert) -> None:
    x = array(np.zeros((1, 4, 2), np.float32))
    found = summarise(Operands(x, x, x, 1.0, sink=array(np.array([200.0], np.float32))))
    values = row_values(found, Metric.LARGEST, Metric.ENTROPY, Metric.RECEIVED, Metric.DISTANCE)
    assert [numbers.max() for numbers in values] == [0, 0, 0, 0]
    assert to_numpy(found.values[Metric.SINK]).tolist() == [[1.0] * 4]
    assert to_numpy(found.logsumexp).tolist() == [[200.0] * 4]


def test_a_row_that_sees_nothing_ends_in_its_sink(array: Convert) -> None:
    x, nothing = array(np.zeros((3, 4, 2), np.float32)), array(np.zeros(4, dtype=bool))
    sink = array(np.array([-np.inf, 1.5, 200.0], np.float32))
    found = summarise(Operands(x, x, x, 1.0, masks.padding(nothing), sink=sink))
    assert to_numpy(found.logsumexp)[:, 0].tolist() == [-np.inf, 1.5, 200.0]
    assert to_numpy(found.values[Metric.SINK])[:, 0].tolist() == [0.0, 1.0, 1.0]


def test_the_entropy_counts_a_sink_as_one_more_key(array: Convert) -> None:
    """Rows of 1 to 3 equal keys, and a sink of the same logit: even over 2 to 4."""
    x = array(np.zeros((1, 3, 2), np.float32))
    found = summarise(Operands(x, x, x, 1.0, masks.causal, sink=array(np.zeros(1, np.float32))))
    entropy, sink = (numbers[0].tolist() for numbers in row_values(found, Metric.ENTROPY, Metric.SINK))
    assert entropy == pytest.approx(np.log([2, 3, 4]).tolist())
    assert sink == pytest.approx([1 / 2, 1 / 3, 1 / 4])


def test_the_distance_is_the_mean_over_the_tokens_whatever_a_sink_takes(array: Convert) -> None:
    x = array(np.zeros((3, 3, 2), np.float32))
    found = summarise(
        Operands(x, x, x, 1.0, masks.causal, sink=array(np.array([-np.inf, 0, 80], np.float32)))
    )
    for head in to_numpy(found.values[Metric.DISTANCE]):
        assert head.tolist() == pytest.approx([0, 0.5, 1.0])


def test_without_a_sink_there_is_no_weight_on_one(array: Convert) -> None:
    x = array(np.zeros((1, 3, 2), np.float32))
    assert Metric.SINK not in summarise(Operands(x, x, x, 1.0)).values


def test_an_overflowing_score_is_reported_although_its_weight_is_zero(array: Convert) -> None:
    q, k = np.zeros((1, 8, 8), np.float32), np.eye(8, dtype=np.float32)[None]
    q[0, 5, 1], k[0, 1, 1] = -1e30, 1e30
    with np.errstate(over="ignore", invalid="ignore"):
        found = summarise(Operands(array(q), array(k), array(k), 1.0, masks.causal))
    assert np.flatnonzero(np.isnan(to_numpy(found.values[Metric.ENTROPY]))).tolist() == [5]


def test_a_nan_sink_is_reported(array: Convert) -> None:
    x = array(np.zeros((1, 4, 2), np.float32))
    found = summarise(Operands(x, x, x, 1.0, sink=array(np.array([np.nan], np.float32))))
    assert np.isnan(to_numpy(found.logsumexp)).all()
    assert np.isnan(to_numpy(found.values[Metric.ENTROPY])).all()


@pytest.mark.slow
def test_numba_is_not_used_if_its_compiler_is_disabled() -> None:
    code = (
        "import torch; from attn_cli.core import attention;"
        "from attn_cli.core.streaming import kernels, stream;"
        "q = torch.ones(1, 6000, 2); operands = attention.Operands(q, q, q, 1.0);"
        "print(stream.choose_measurer(operands, kernels.choose_kernels(q), ())[1].__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"StepwiseMeasurer\n", b"")


def test_rows_beyond_their_last_visible_key_are_fully_masked(array: Convert) -> None:
    q, k = (array(np.ones((1, count, 2), np.float32)) for count in (40, 8))
    found = summarise(Operands(q, k, k, 1.0, masks.nearby(1)), rows=1)
    assert to_numpy(found.visible_keys).tolist() == [2, *[3] * 6, 2, 1, *[0] * 31]


def test_progress_is_reported_until_all_rows_are_done() -> None:
    told: list[tuple[int, int]] = []
    x = np.ones((1, 10, 2), np.float32)
    summarise(Operands(x, x, x, 1.0), rows=4, progress=lambda done, total: told.append((done, total)))
    assert told == [(4, 10), (8, 10), (10, 10)]


@pytest.mark.usefixtures("two_threads")
def test_an_interruption_leaves_no_thread_behind() -> None:
    class EnoughError(Exception):
        pass

    def interrupted(*_: int) -> None:
        raise EnoughError

    x = torch.randn(4, 3000, 8)
    threads = torch.get_num_threads()
    with pytest.raises(EnoughError):
        summarise(Operands(x, x, x, 1.0), rows=64, progress=interrupted)
    assert not [each for each in threading.enumerate() if each.name.startswith("attn")]
    assert torch.get_num_threads() == threads


@pytest.mark.usefixtures("two_threads")
def test_an_unresponsive_thread_is_not_waited_for() -> None:
    go_on, stopped, at_work = threading.Event(), threading.Event(), threading.Semaphore(0)
    begun, ended = [], []

    def deaf(piece: range) -> int:
        begun.append(piece.start)
        if piece.start:
            at_work.release()
            go_on.wait(60)  # were it waited for, the test would see it end
            ended.append(piece.start)
        return 1

    done = share_out(deaf, [range(i, i + 1) for i in range(9)], stopped)
    next(done)
    for _ in range(2):  # both threads
        at_work.acquire()
    with pytest.raises(KeyboardInterrupt):
        done.throw(KeyboardInterrupt)
    assert (stopped.is_set(), sorted(begun), ended) == (True, [0, 1, 2], [])
    go_on.set()


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("way", ["torch", "compiled"])
@pytest.mark.parametrize("pool", Pool)
def test_results_of_two_threads_add_up(pool: Pool, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of 34 rows in blocks of 17: two blocks add to one cell."""
    compiled_or_not(monkeypatch, way)
    q = torch.from_numpy(np.random.default_rng(0).normal(0, 1, (3, 400, 8)).astype(np.float32))
    operands, tokens = Operands(q, q, q, 1.0, masks.causal), KeyTokens(None, np.arange(400) % 7 == 0)
    summary = summarise(operands, tokens=tokens, picture=12, pool=pool, rows=20)
    same(summary, summary_of(operands, tokens, 12, pool))


@pytest.mark.parametrize("lowest", [-np.inf, np.finfo(np.float32).min, -1e38])
def test_a_bias_that_hides_keys_gives_weight_zero(array: Convert, lowest: float) -> None:
    q = array(np.random.default_rng(0).normal(0, 1, (2, 30, 4)).astype(np.float32))
    odd = np.where(np.arange(30) % 2 == 1, np.float32(lowest), np.float32(0))

    def bias(i: Array, j: Array) -> Array:
        return array(np.broadcast_to(odd[to_numpy(j)], (2, len(i), j.shape[1])).copy())

    operands = Operands(q, q, q, 1.0, masks.causal, bias)
    tokens = KeyTokens(None, np.zeros(30, bool))
    same(summarise(operands, tokens=tokens, picture=8), summary_of(operands, tokens, 8))


def test_the_content_of_a_masked_cell_does_not_matter(array: Convert) -> None:
    q = np.random.default_rng(0).normal(0, 1, (1, 30, 4)).astype(np.float32)
    k = q.copy()
    k[:, -1] = np.inf
    with np.errstate(invalid="ignore"):  # infinity minus infinity, in unused cells
        found = summarise(Operands(array(q), array(k), array(q), 1.0, masks.causal))
    assert np.isfinite(to_numpy(found.logsumexp)[:, :-1]).all()


def test_a_masked_key_has_exactly_zero_weight(array: Convert) -> None:
    x, real = array(np.zeros((1, 4, 2), np.float32)), array(np.array([True, False, True, True]))
    found = summarise(Operands(x, x, x, 1.0, masks.padding(real)), picture=4)
    assert to_numpy(found.picture)[0, :, 1].tolist() == [0] * 4
    assert to_numpy(found.values[Metric.RECEIVED])[0, 1] == 0


def test_only_requested_metrics_are_present(array: Convert) -> None:
    x = array(np.ones((1, 4, 2), np.float32))
    found = summarise(Operands(x, x, x, 1.0), [Metric.DUPLICATE], KeyTokens(np.zeros(4, np.int64)))
    assert list(found.values) == [Metric.DUPLICATE]
    assert found.picture is None


def test_a_repeated_token_limits_rows_by_its_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = np.ones((1, 600, 2), np.float32)
    sizes = replace(CPU, pairs=20 * 600)
    monkeypatch.setattr(stream, "choose_measurer", lambda *_: (sizes, StepwiseMeasurer))
    told: list[int] = []
    tokens = KeyTokens(np.zeros(600, np.int64))
    summarise(Operands(x, x, x, 1.0), tokens=tokens, progress=lambda done, _: told.append(done))
    assert told[:2] == [20, 40]


@pytest.mark.usefixtures("two_threads")
def test_measuring_a_layer_does_not_change_the_threads_of_new_threads() -> None:
    """A new thread of PyTorch takes the number that was set last, in any thread."""
    list(share_out(lambda _: 1, [range(piece, piece + 1) for piece in range(4)], threading.Event()))
    counts: list[int] = []
    later = threading.Thread(target=lambda: counts.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert counts == [2]


@pytest.mark.parametrize(("tokens", "name"), [(1600, "StepwiseMeasurer"), (1700, "CompiledMeasurer")])
def test_numba_is_imported_for_a_long_text_of_twelve_heads(tokens: int, name: str) -> None:
    queries = torch.zeros(12, tokens, 1)
    operands = Operands(queries, queries, queries, 1.0)
    _, measurer = stream.choose_measurer(operands, choose_kernels(queries), EVERY)
    assert measurer.__name__ == name


@pytest.mark.parametrize(("heads", "rows"), [(2, 256), (8, 64), (64, 16)])
def test_heads_that_have_a_bias_share_512_rows_and_no_block_has_fewer_than_16(heads: int, rows: int) -> None:
    queries = np.zeros((heads, 300, 1), np.float32)
    operands = Operands(queries, queries, queries, 1.0, bias=alibi(heads, queries))
    told: list[int] = []
    summarise(operands, [Metric.LARGEST], progress=lambda done, _: told.append(done))
    assert told[0] == rows


@pytest.mark.parametrize(("rows", "is_whole"), [(2048, True), (2049, False)])
def test_a_context_is_computed_in_blocks_above_16_megabytes_of_scores(
    rows: int, is_whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    def counted(operands: Operands) -> Any:
        counts.append(operands.queries.shape[-2])
        return trace(operands)

    monkeypatch.setattr(attending, "trace", counted)
    queries, keys = (np.zeros((1, count, 1), np.float32) for count in (rows, 2048))
    attend(Operands(queries, keys, keys, 1.0))
    assert (counts == [rows]) is is_whole
    assert sum(counts) == rows


def test_large_negative_biases_are_distinguished(array: Convert) -> None:
    """A large negative bias on every key hides none: only differences matter to the softmax."""
    x, far = array(np.zeros((1, 2, 2), np.float32)), np.array([-2e5, -2e5 - 1], np.float32)

    def bias(i: Array, j: Array) -> Array:
        return array(np.broadcast_to(far[to_numpy(j)], (1, len(i), j.shape[1])).copy())

    measured = summarise(Operands(x, x, x, 1.0, bias=bias), [Metric.LARGEST])
    expected = 1 / (1 + math.exp(-1))  # to the rounding of 2e5, 2⁻⁷
    np.testing.assert_allclose(to_numpy(measured.values[Metric.LARGEST]), expected, rtol=2**-7)
