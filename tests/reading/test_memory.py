"""The estimated memory of a reading, and the error if it is not available."""

import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from attn_cli.errors import AttnError
from attn_cli.models import free_memory
from attn_cli.models.backend import choose_backend, torch_backend
from attn_cli.models.random_layer import RandomLayer, open_random_layer
from attn_cli.models.source import Source, SourceRequest
from attn_cli.reading import memory
from attn_cli.reading.memory import Need, Work, check, need
from attn_cli.reading.steps import head_steps
from attn_cli.reading.window import LARGEST
from attn_cli.vocabulary import DType, Step
from tests.support.readings import reading_of
from tests.support.worlds import attn


@pytest.fixture
def source() -> RandomLayer:
    return open_random_layer(SourceRequest(), choose_backend("cpu", DType.FLOAT32))


def test_matrices_grow_with_rows_times_keys(source: Source) -> None:
    one = need(source, Work(1000, 1000, 1, at_once=4, rows=1000)).matrices
    assert need(source, Work(1000, 2000, 1, at_once=4, rows=1000)).matrices == 2 * one
    assert need(source, Work(1000, 1000, 1, at_once=4, rows=10)).matrices == one / 100
    assert need(source, Work(1000, 1000, 1, at_once=4, rows=1000, kept=10)).matrices == one + 10 * 4


def test_metrics_grow_only_with_the_text(source: Source) -> None:
    short, long, longer = (
        need(source, Work(tokens, tokens, 1, measured=4)).matrices for tokens in (1000, 2000, 3000)
    )
    assert long - short == longer - long


def test_a_native_model_holds_one_layer_and_a_bridged_one_all(source: RandomLayer) -> None:
    work = Work(10, 10, 12)
    assert need(replace(source, engine="transformers"), work).weights == 12 * need(source, work).weights


def test_what_does_not_fit_is_refused_with_both_numbers(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_memory, "free_bytes", lambda _: 2e9)
    monkeypatch.setattr(memory, "need", lambda *_: Need(0.1e9, 0.2e9, 9.4e9))
    with pytest.raises(AttnError) as caught:
        check(source, Work(1, 1, 1), "attn heads")
    sizes = "this needs about 9.7 GB (weights 0.1, activations 0.2, matrices 9.4)"
    assert caught.value.problem == f"not enough memory: {sizes}, and 2.0 GB are free"
    assert (caught.value.hint, caught.value.status) == ("attn heads", 1)


@pytest.mark.parametrize("command", ["heads", "inspect"])
def test_a_command_refuses_what_does_not_fit(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory, "free_bytes", lambda _: 1e6)
    answer = attn(command, "the cat sat on a mat " * 300, "-m", "random", "--width", "1024")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("attn: not enough memory: this needs about 0.")
    assert "and 0.0 GB are free" in answer.err


def test_what_fits_or_is_unknown_is_accepted(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    for free in (1e12, None):
        monkeypatch.setattr(free_memory, "free_bytes", lambda _, free=free: free)
        check(source, Work(1000, 1000, 1, at_once=4, rows=1000), "")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process its peak")
def test_the_estimate_is_near_the_peak_that_is_measured(source: Source, tmp_path: Path) -> None:
    """For whole processes; the memory for a short text, with the interpreter and modules, is subtracted."""
    short, long, width = 200, 12_000, 256
    peaks = [peak_of_heads(tokens, width, tmp_path) for tokens in (short, long)]
    wide = open_random_layer(SourceRequest(width=width), source.backend)
    needs = [need(wide, Work(tokens, tokens, 1, measured=4)).total for tokens in (short, long)]
    # it is there to refuse what cannot fit: half too much, or too little, is near enough for that
    assert 0.5 < (needs[1] - needs[0]) / (peaks[1] - peaks[0]) < 1.5


def peak_of_heads(tokens: int, width: int, directory: Path) -> float:
    """The peak memory of `attn heads` on the layer of `random`, according to the system."""
    text = directory / "text.txt"
    text.write_text("the cat sat on " * (tokens // 4), encoding="utf-8")
    arguments = ["heads", "-m", "random", "--width", str(width), "--quiet", "--file", str(text)]
    arguments += ["-o", str(directory / f"{tokens}.csv")]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments], capture_output=True, text=True, check=True
    )
    return float(done.stdout) * 1024


MEASURED = """
import re, sys
from pathlib import Path
from attn_cli.cli import run
from attn_cli.console import World
assert run(sys.argv[1:], World.real()) == 0
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def test_what_a_reading_needs_by_hand(source: RandomLayer) -> None:
    """12 · M² numbers per layer, 14 vectors per token, 4.5 matrices per head, 24 per query and head."""
    work = Work(100, 200, 3, at_once=2, rows=50, kept=1000)
    assert need(source, work) == Need(12 * 64**2 * 4, 14 * 200 * 64 * 4, (4.5 * 2 * 50 * 200 + 1000) * 4)
    assert need(source, Work(100, 200, 3, measured=5)).matrices == 24 * 5 * 100 * 4 + (40 << 20)


def test_pytorch_needs_memory_and_half_precision_halves_only_the_weights(
    source: RandomLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    half = replace(source, backend=torch_backend("cpu", DType.BFLOAT16))
    work = Work(100, 200, 3, at_once=2, rows=50, kept=1000, measured=5)
    numpy, torch = need(source, work), need(half, work)
    assert torch.weights == 4e8 + numpy.weights / 2
    assert torch.activations == numpy.activations
    assert torch.matrices == numpy.matrices - (40 << 20) + (80 << 20) + 3 * (40 << 20)  # numba, and threads
    gpu = replace(half, backend=replace(half.backend, device="cuda"))
    assert need(gpu, work).matrices == numpy.matrices - (40 << 20) + (700 << 20)
    wide = replace(source, backend=choose_backend("cpu", DType.FLOAT64))
    assert need(wide, work).weights == 2 * numpy.weights


def test_up_to_nine_tenths_of_free_memory_may_be_needed(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(1000, 1000, 1, at_once=4, rows=1000)
    total = need(source, work).total
    monkeypatch.setattr(free_memory, "free_bytes", lambda _: total / 0.89)
    check(source, work, "")
    monkeypatch.setattr(free_memory, "free_bytes", lambda _: total / 0.91)
    with pytest.raises(AttnError, match="not enough memory"):
        check(source, work, "")


@pytest.mark.parametrize(("tokens", "status"), [(824, 0), (825, 1)])
def test_two_million_numbers_are_computed_without_a_memory_check(
    tokens: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For one head: three T × T matrices, M numbers per token, and M² for the layer."""
    monkeypatch.setattr(free_memory, "free_bytes", lambda _: 1.0)
    answer = attn("inspect", "a " * tokens, "-m", "random", "--heads", "0.0", "--json")
    assert answer.status == status


def test_the_matrices_of_heads_take_no_more_than_was_estimated_and_not_much_less(source: Source) -> None:
    tokens, heads = 600, 4
    reading = reading_of("a b " * (tokens // 2), "random", is_causal=True)
    places = [(0, head) for head in range(heads)]
    tracemalloc.start()
    head_steps(reading, places, [Step.WEIGHTS])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    work = Work(tokens, tokens, 1, at_once=heads, rows=tokens, kept=heads * tokens**2)
    assert peak < need(source, work).total < 1.6 * peak  # of NumPy's own arrays: the same on every machine


@pytest.mark.parametrize("most", [1, 5])
def test_the_largest_keys_of_a_long_text_take_no_more_than_was_estimated(source: Source, most: int) -> None:
    tokens, heads = 1500, 4
    reading = reading_of("a b " * (tokens // 2), "random", is_causal=True)
    window = reading.listed(None, None, most, None)
    places = [(0, head) for head in range(heads)]
    tracemalloc.start()
    head_steps(reading, places, [Step.WEIGHTS], window)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    block = LARGEST // (tokens * heads)
    work = Work(tokens, tokens, 1, at_once=heads, rows=block, kept=heads * tokens * (4 + 3 * most))
    assert peak < 1.3 * need(source, work).total
    assert peak < heads * tokens**2 * 4  # the weights alone


def test_a_list_of_every_row_is_not_refused_where_the_matrix_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory, "free_bytes", lambda _: 40e6)
    line = ("inspect", "a " * 3000, "-m", "random", "--heads", "0.0", "-s", "weights", "--rows", "all")
    assert attn(*line, "--json").status == 1
    assert attn(*line, "--top", "2").status == 0
