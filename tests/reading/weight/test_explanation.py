"""The numbers of an opened row, beside the same computed by hand in float64, one at a time."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from attn_cli.answers.weight import Explanation
from attn_cli.reading import window
from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place
from attn_cli.reading.steps import shown_layers
from attn_cli.reading.weight.explanation import explain
from attn_cli.vocabulary import DType, Step
from tests.support.readings import reading_of
from tests.support.twins import RECIPES

TEXT = "the cat sat on the mat, and the mat sat on the cat"
CLOSE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}  # float64 in another order
Row = list[float]


def opened(reading: Reading, place: Place, query: int, key: int | None = None) -> Explanation:
    (shown,) = shown_layers(reading, [place])
    return explain(reading, shown, place[1], query, key)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Llama's twin with biases, RoPE and two heads for each key head."""
    place = tmp_path_factory.mktemp("llama")
    RECIPES["llama, biases"].save(place)
    return place


def dot(left: Any, right: Any) -> float:
    return math.fsum(float(one) * float(other) for one, other in zip(left, right, strict=True))


def turned(vector: Row, position: int, size: int, theta: float = 10000.0) -> Row:
    """RoPE as Llama has it: feature r is turned with feature r + size / 2."""
    half = size // 2
    result = [0.0] * size
    for pair in range(half):
        angle = position * theta ** (-2 * pair / size)
        first, second = vector[pair], vector[pair + half]
        result[pair] = first * math.cos(angle) - second * math.sin(angle)
        result[pair + half] = second * math.cos(angle) + first * math.sin(angle)
    return result


def test_a_row_of_llama_is_what_a_loop_over_its_file_gives(llama: Path) -> None:
    reading = reading_of(TEXT, str(llama), dtype=DType.FLOAT64)
    layer, head, query, size = 1, 2, 9, 8
    found = opened(reading, (layer, head), query)
    weights = load_file(llama / "model.safetensors")

    def matrix(name: str, rows: slice) -> tuple[Any, Any]:
        prefix = f"model.layers.{layer}.self_attn.{name}_proj"
        return weights[f"{prefix}.weight"][rows], weights[f"{prefix}.bias"][rows]

    def projected(name: str, index: int, x: Any) -> Row:
        rows, bias = matrix(name, slice(index * size, (index + 1) * size))
        return [dot(row, x) + float(shift) for row, shift in zip(rows, bias, strict=True)]

    (shown,) = shown_layers(reading, [(layer, head)])
    inputs = np.asarray(shown.layer.steps([head], {Step.INPUT})[Step.INPUT])
    inputs = inputs.reshape(-1, inputs.shape[-1])
    q = turned(projected("q", head, inputs[query]), query, size)
    keys = [turned(projected("k", head // 2, inputs[one]), one, size) for one in range(query + 1)]
    values = [projected("v", head // 2, inputs[one]) for one in range(query + 1)]
    logits = [dot(q, key) / math.sqrt(size) for key in keys]
    powers = [math.exp(logit - max(logits)) for logit in logits]
    row = [power / math.fsum(powers) for power in powers]
    context = [math.fsum(w * v[one] for w, v in zip(row, values, strict=True)) for one in range(size)]

    assert found.key == row.index(max(row))
    assert found.kv_head == head // 2
    assert found.scores is not None
    assert found.softmax.powers is not None
    assert found.softmax.logits is not None
    assert found.context is not None
    np.testing.assert_allclose(found.scores.query, q, **CLOSE)
    np.testing.assert_allclose(found.scores.keys[found.key], keys[found.key], **CLOSE)
    np.testing.assert_allclose(found.scores.dots[: query + 1], [dot(q, key) for key in keys], **CLOSE)
    np.testing.assert_allclose(found.softmax.logits[: query + 1], logits, **CLOSE)
    np.testing.assert_allclose(found.softmax.powers.powers[: query + 1], powers, **CLOSE)
    assert float(found.softmax.powers.total) == pytest.approx(math.fsum(powers), rel=1e-12)
    assert float(found.softmax.powers.largest) == pytest.approx(max(logits), rel=1e-12)
    np.testing.assert_allclose(found.softmax.weights[: query + 1], row, **CLOSE)
    np.testing.assert_allclose(found.context, context, **CLOSE)
    _writes(found, matrix("o", slice(None)), context, size)


def _writes(found: Explanation, output_of: tuple[Any, Any], context: Row, size: int) -> None:
    """The head's slice of W^O with the context, and all heads with the bias."""
    matrix, bias = output_of
    output = found.output
    assert output is not None
    assert output.bias is not None
    own = [dot(row[found.head * size : (found.head + 1) * size], context) for row in matrix]
    np.testing.assert_allclose(output.output, own, **CLOSE)
    np.testing.assert_array_equal(output.outputs[found.head], output.output)
    np.testing.assert_allclose(output.bias, bias, **CLOSE)
    np.testing.assert_allclose(output.result, output.outputs.sum(axis=0) + output.bias, rtol=1e-9, atol=1e-12)


def test_stages_of_the_projections_lead_to_the_query_and_the_key(llama: Path) -> None:
    found = opened(reading_of(TEXT, str(llama)), (1, 2), 9, 4)
    assert found.scores is not None
    for step, position, vector in (
        (Step.QUERIES, 9, found.scores.query),
        (Step.KEYS, 4, found.scores.keys[found.key]),
    ):
        projection = found.projections[step]
        assert projection.position == position
        assert projection.turn is not None
        assert projection.norm is None
        np.testing.assert_array_equal(projection.final, vector)
        assert not np.array_equal(projection.plain, projection.final)
    value = found.projections[Step.VALUES]
    assert found.values is not None
    np.testing.assert_array_equal(value.final, found.values[4])
    assert (value.position, value.turn) == (4, None)


def test_the_row_of_a_long_text_is_that_of_the_whole(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = opened(reading_of(TEXT, str(llama)), (1, 2), 9, 4)
    monkeypatch.setattr(window, "LARGEST", 100)
    reading = reading_of(TEXT, str(llama))
    part = opened(reading, (1, 2), 9, 4)
    assert not reading.whole.fits
    np.testing.assert_allclose(part.softmax.weights, whole.softmax.weights, rtol=1e-5, atol=1e-7)
    assert part.context is not None
    assert whole.context is not None
    np.testing.assert_allclose(part.context, whole.context, rtol=1e-5, atol=1e-6)


def test_a_hidden_key_has_its_reason(llama: Path) -> None:
    found = opened(reading_of(TEXT, str(llama)), (1, 2), 3, 7)
    assert found.is_hidden
    assert found.hidden is not None
    assert found.hidden.cause == "causal"
    assert found.softmax.weights[7] == 0


def test_where_the_key_is_hidden_the_value_of_the_largest_weight_is_opened(llama: Path) -> None:
    found = opened(reading_of(TEXT, str(llama)), (1, 2), 3, 7)
    best = int(found.softmax.weights.argmax())
    assert found.projections[Step.VALUES].position == best
    assert found.projections[Step.KEYS].position == 7


@pytest.mark.parametrize(("query", "causes"), [(3, {"causal"}), (-1, set())])
def test_the_causes_of_hidden_keys_are_known(query: int, causes: set[str], llama: Path) -> None:
    reading = reading_of(TEXT, str(llama))
    last = len(opened(reading, (1, 2), 0).softmax.mask) - 1
    assert opened(reading, (1, 2), last if query < 0 else query).hides == causes


def test_the_inputs_of_all_tokens_make_all_keys_and_values(llama: Path) -> None:
    found = opened(reading_of(TEXT, str(llama)), (1, 2), 9, 4)
    value = found.projections[Step.VALUES]
    np.testing.assert_array_equal(value.inputs[4], value.input)
    assert value.bias is not None
    assert found.values is not None
    made = np.array([np.dot(value.weight, x) + value.bias for x in value.inputs])
    np.testing.assert_allclose(made, found.values, rtol=1e-5, atol=1e-6)


def test_no_layer_after_the_one_explained_is_read(reading: Reading, ran: list[int]) -> None:
    opened(reading, (1, 2), 3)
    assert ran == [0, 1, 1]  # its weights once more, as they were let go after it ran
