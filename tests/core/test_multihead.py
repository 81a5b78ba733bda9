"""Multi-head attention, compared with PyTorch's layer and known answers, and its errors."""

import doctest
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import attn_cli
from attn_cli.core import masks
from attn_cli.core import multihead as module
from attn_cli.core import torch_module as shell
from attn_cli.core.arrays import Array, to_numpy
from attn_cli.core.attention import trace
from attn_cli.core.multihead import Attention, Linear, MultiHeadAttention, check_heads, fused
from attn_cli.core.positions import Rotary
from attn_cli.errors import AttnError
from attn_cli.vocabulary import Step
from tests.support.libraries import Convert

WIDTH, HEADS, T, S = 24, 4, 6, 9
EXACT = 1e-12  # float64, numbers up to 100 summed in another order


def drawn(rng: np.random.Generator, *shape: int, spread: float = 1.0) -> npt.NDArray[np.float64]:
    return rng.normal(0, spread, shape)


def linear(array: Convert, rng: np.random.Generator, rows: int, columns: int) -> Linear:
    """Weights large enough for peaked rows of attention."""
    return Linear(array(drawn(rng, rows, columns, spread=0.5)), array(drawn(rng, rows)))


def layer_of(
    array: Convert, rng: np.random.Generator, kv_heads: int = HEADS, **rest: Any
) -> MultiHeadAttention:
    shared = WIDTH // HEADS * kv_heads
    query, key, value, output = (linear(array, rng, rows, WIDTH) for rows in (WIDTH, shared, shared, WIDTH))
    return MultiHeadAttention(query, key, value, output, HEADS, kv_heads, **rest)


def pytorch_layer(array: Convert) -> tuple[torch.nn.MultiheadAttention, MultiHeadAttention]:
    """PyTorch's layer with peaked rows, and ours with the same weights."""
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        theirs.in_proj_weight.mul_(3)
        theirs.in_proj_bias.normal_()
        theirs.out_proj.bias.normal_()

    def ours(tensor: torch.Tensor) -> Array:
        return array(tensor.detach().numpy())

    stacked = Linear(ours(theirs.in_proj_weight), ours(theirs.in_proj_bias))
    output = Linear(ours(theirs.out_proj.weight), ours(theirs.out_proj.bias))
    return theirs, MultiHeadAttention(*fused(stacked, HEADS, HEADS), output, HEADS, HEADS)


def same(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(to_numpy(found), to_numpy(expected), rtol=EXACT, atol=EXACT)


def weights_and_output(
    theirs: torch.nn.MultiheadAttention, x: Array, memory: Array, **masks: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    x, memory = torch.tensor(to_numpy(x)), torch.tensor(to_numpy(memory))
    output, weights = theirs(x, memory, memory, need_weights=True, average_attn_weights=False, **masks)
    return weights, output


def test_pytorchs_layer_gives_the_same(array: Convert, rng: np.random.Generator) -> None:
    theirs, ours = pytorch_layer(array)
    x = array(drawn(rng, T, WIDTH, spread=2))
    weights, output = weights_and_output(theirs, x, x)
    assert weights.amax(dim=-1).mean() > 0.5  # peaked: flat rows pass with broken maths
    same(ours.attention(x).trace().weights, weights)
    same(ours(x), output)


def test_keys_come_from_the_memory_if_given(array: Convert, rng: np.random.Generator) -> None:
    theirs, ours = pytorch_layer(array)
    x, memory = array(drawn(rng, T, WIDTH, spread=2)), array(drawn(rng, S, WIDTH, spread=2))
    weights, output = weights_and_output(theirs, x, memory)
    assert weights.shape == (HEADS, T, S)
    same(ours.attention(x, memory).trace().weights, weights)
    same(ours(x, memory), output)


def test_pytorchs_attention_mask_is_a_rule(array: Convert, rng: np.random.Generator) -> None:
    theirs, ours = pytorch_layer(array)
    x = array(drawn(rng, T, WIDTH, spread=2))
    hidden = torch.ones(T, T, dtype=torch.bool).triu(1)
    weights, output = weights_and_output(theirs, x, x, attn_mask=hidden)
    same(ours.attention(x, mask=masks.causal).trace().weights, weights)
    same(ours(x, mask=masks.causal), output)


def test_pytorchs_padding_mask_is_a_rule_for_every_text_of_a_batch(
    array: Convert, rng: np.random.Generator
) -> None:
    theirs, ours = pytorch_layer(array)
    x = array(drawn(rng, 3, T, WIDTH, spread=2))
    real = np.arange(T) < np.array([[T], [2], [4]])
    weights, output = weights_and_output(theirs, x, x, key_padding_mask=torch.tensor(~real))
    rule = masks.padding(array(real))
    same(ours.attention(x, mask=rule).trace().weights, weights)
    same(ours(x, mask=rule), output)


def test_the_mask_of_a_call_narrows_the_layer_s_own(array: Convert, rng: np.random.Generator) -> None:
    layer = layer_of(array, rng, mask=masks.causal)
    found = layer.attention(array(drawn(rng, 3, WIDTH)), mask=masks.padding(array([False, True, True])))
    expected = [[False, False, False], [False, True, False], [False, True, True]]
    np.testing.assert_array_equal(to_numpy(found.trace().mask), expected)


@pytest.mark.parametrize("kv_heads", [1, 2])
def test_grouped_attention_is_multi_head_attention_whose_key_rows_are_repeated(
    array: Convert, rng: np.random.Generator, kv_heads: int
) -> None:
    layer, x = layer_of(array, rng, kv_heads), array(drawn(rng, T, WIDTH))

    def repeated(one: Linear) -> Linear:
        weight, bias = to_numpy(one.weight), to_numpy(one.bias)
        blocks = np.repeat(weight.reshape(kv_heads, -1, WIDTH), HEADS // kv_heads, axis=0)
        biases = np.repeat(bias.reshape(kv_heads, -1), HEADS // kv_heads, axis=0)
        return Linear(array(blocks.reshape(WIDTH, WIDTH)), array(biases.ravel()))

    key, value = repeated(layer.key), repeated(layer.value)
    whole = MultiHeadAttention(layer.query, key, value, layer.output, HEADS, HEADS)
    same(layer(x), whole(x))


def test_a_layer_passes_on_all_arguments(array: Convert, rng: np.random.Generator) -> None:
    sink = array(drawn(rng, HEADS))
    rules: dict[str, Any] = {"bias": lambda i, j: i - j, "softcap": 30.0, "sink": sink, "mask": masks.causal}
    operands = layer_of(array, rng, scale=0.125, **rules).operands(array(drawn(rng, T, WIDTH)))
    assert operands.scale == 0.125
    assert all(getattr(operands, name) is rule for name, rule in rules.items())


def test_without_a_scale_it_is_one_over_the_root_of_the_head_size(
    array: Convert, rng: np.random.Generator
) -> None:
    query, key, value, output = (linear(array, rng, *shape) for shape in ((8, 3), (8, 3), (8, 3), (3, 8)))
    layer = MultiHeadAttention(query, key, value, output, heads=2, kv_heads=2)
    assert layer.head_size == 4
    assert layer.operands(array(drawn(rng, T, 3))).scale == 0.5
    assert layer(array(drawn(rng, T, 3))).shape == (T, 3)


def test_queries_and_keys_are_rotated_and_values_are_not(array: Convert, rng: np.random.Generator) -> None:
    x = array(np.broadcast_to(drawn(rng, 1, WIDTH), (3, WIDTH)))
    rotary = Rotary(np.array([1.0, 0.1, 0.01], dtype=np.float32))
    found = layer_of(array, rng, rotary=rotary).operands(x)
    assert not np.allclose(to_numpy(found.queries)[:, 0], to_numpy(found.queries)[:, 1])
    assert not np.allclose(to_numpy(found.keys)[:, 0], to_numpy(found.keys)[:, 1])
    same(found.values[:, 0], found.values[:, 1])


def test_a_batch_equals_its_members_one_by_one(array: Convert, rng: np.random.Generator) -> None:
    layer, x = layer_of(array, rng, 2, mask=masks.causal), drawn(rng, 2, 3, T, WIDTH)
    found = layer(array(x))
    for place in np.ndindex(2, 3):
        same(found[place], layer(array(x[place])))


@pytest.fixture
def attention(array: Convert, rng: np.random.Generator) -> Attention:
    """A grouped layer with a bias and a sink on six tokens."""
    bias = array(drawn(rng, HEADS, T, T))
    rules: dict[str, Any] = {
        "mask": masks.causal,
        "bias": lambda _i, _j: bias,
        "sink": array(drawn(rng, HEADS)),
    }
    return layer_of(array, rng, 2, **rules).attention(array(drawn(rng, T, WIDTH)))


def test_the_steps_come_in_the_order_of_the_computation(attention: Attention) -> None:
    assert list(attention.steps([0], set(Step))) == list(Step)
    wanted = [Step.OUTPUT, Step.WEIGHTS, Step.INPUT]
    assert list(attention.steps([0], wanted)) == [Step.INPUT, Step.WEIGHTS, Step.OUTPUT]


def test_every_step_has_the_shape_of_the_contract(attention: Attention) -> None:
    shapes = {step: tuple(each.shape) for step, each in attention.steps([2, 0], set(Step)).items()}
    pairs, rows = (2, T, T), (2, T, WIDTH // HEADS)
    wide = {Step.INPUT: (2, T, WIDTH), Step.OUTPUT: (2, T, WIDTH)}
    assert shapes == {step: pairs if step.is_pairwise else rows for step in Step} | wide


def test_the_steps_of_chosen_heads_are_those_of_all_heads(attention: Attention) -> None:
    whole, chosen = attention.steps(range(HEADS), set(Step)), attention.steps([3, 1], set(Step))
    for step in Step:
        same(chosen[step], whole[step][[3, 1]])


def test_each_step_follows_from_the_ones_before(attention: Attention) -> None:
    step = {step: to_numpy(each) for step, each in attention.steps(range(HEADS), set(Step)).items()}
    scores = step[Step.QUERIES] @ step[Step.KEYS].swapaxes(-1, -2) * attention.operands.scale
    same(step[Step.SCORES], scores)
    logits = np.where(step[Step.MASK], scores + step[Step.BIAS], -np.inf)
    same(step[Step.LOGITS], logits)
    powers, sink = np.exp(logits), np.exp(to_numpy(attention.operands.sink))[:, None, None]
    same(step[Step.WEIGHTS], powers / (powers.sum(axis=-1, keepdims=True) + sink))
    same(step[Step.CONTEXT], step[Step.WEIGHTS] @ to_numpy(attention.operands.values)[[0, 0, 1, 1]])


def test_the_outputs_of_heads_and_the_bias_of_w_o_add_up_to_the_result(attention: Attention) -> None:
    assert attention.projection is not None
    shares = to_numpy(attention.steps(range(HEADS), [Step.OUTPUT])[Step.OUTPUT])
    same(shares.sum(axis=0) + to_numpy(attention.projection.bias), to_numpy(attention.result()))


def test_the_input_and_the_mask_are_the_same_for_every_head(attention: Attention) -> None:
    found = attention.steps([0, 2], [Step.INPUT, Step.MASK])
    np.testing.assert_array_equal(to_numpy(found[Step.INPUT]), [to_numpy(attention.input)] * 2)
    np.testing.assert_array_equal(to_numpy(found[Step.MASK]), [np.tri(T, dtype=bool)] * 2)


def test_a_layer_without_a_bias_has_no_bias_step(array: Convert, rng: np.random.Generator) -> None:
    found = layer_of(array, rng).attention(array(drawn(rng, T, WIDTH))).steps([0], set(Step))
    assert list(found) == [step for step in Step if step != Step.BIAS]


def test_the_trace_of_a_call_is_that_of_its_operands(attention: Attention) -> None:
    whole = trace(attention.operands).weights
    same(attention.trace().weights, whole)
    same(attention.trace([2]).weights, whole[[2]])


def labelled(array: Convert, blocks: str) -> Linear:
    """A fused matrix and bias in which each block of two rows encodes a letter."""
    rows = np.repeat([float(ord(letter)) for letter in blocks], 2).astype(np.float32)
    return Linear(array(np.stack([rows] * 3, axis=-1)), array(rows))


def letters(one: Linear) -> str:
    """The inverse of `labelled`: which block every row came from."""
    weight, bias = to_numpy(one.weight), to_numpy(one.bias)
    assert (weight == bias[:, None]).all()
    return "".join(chr(int(row)) for row in bias)


@pytest.mark.parametrize(
    ("blocks", "heads", "kv_heads", "interleaved", "parts"),
    [
        ("ABCabc123", 3, 3, False, ["AABBCC", "aabbcc", "112233"]),
        ("Aa1Bb2Cc3", 3, 3, True, ["AABBCC", "aabbcc", "112233"]),
        ("ABCDab12", 4, 2, False, ["AABBCCDD", "aabb", "1122"]),
        ("ABa1CDb2", 4, 2, True, ["AABBCCDD", "aabb", "1122"]),
        ("ABCa1", 3, 1, False, ["AABBCC", "aa", "11"]),
        ("ABCa1", 3, 1, True, ["AABBCC", "aa", "11"]),
    ],
)
def test_a_fused_matrix_is_split(
    array: Convert, blocks: str, heads: int, kv_heads: int, *, interleaved: bool, parts: list[str]
) -> None:
    found = fused(labelled(array, blocks), heads, kv_heads, interleaved=interleaved)
    assert [letters(part) for part in found] == parts


@pytest.mark.parametrize(
    ("heads", "kv_heads", "interleaved"),
    [(3, 3, False), (3, 3, True), (4, 2, False), (4, 2, True), (3, 1, True)],
)
def test_each_head_knows_its_rows_in_the_fused_matrix(
    array: Convert, rng: np.random.Generator, heads: int, kv_heads: int, *, interleaved: bool
) -> None:
    whole = Linear(array(drawn(rng, 2 * (heads + 2 * kv_heads), 3)), None, "h.2.attn", is_transposed=True)
    parts = fused(whole, heads, kv_heads, interleaved=interleaved)
    for part, count in zip(parts, (heads, kv_heads, kv_heads), strict=True):
        assert (part.name, part.is_transposed) == ("h.2.attn", True)
        assert part.cut is not None
        assert part.cut.rows == whole.weight.shape[0]
        for head in range(count):
            rows = part.cut.rows_of(head)
            np.testing.assert_array_equal(
                to_numpy(part.weight)[2 * head : 2 * head + 2], to_numpy(whole.weight)[rows.start : rows.stop]
            )


@pytest.mark.parametrize("interleaved", [False, True])
def test_a_fused_matrix_without_a_bias_gives_projections_without_one(
    array: Convert, *, interleaved: bool
) -> None:
    parts = fused(Linear(array(np.zeros((12, 3)))), 2, 2, interleaved=interleaved)
    assert [part.bias for part in parts] == [None, None, None]


def test_a_stacked_matrix_is_not_copied() -> None:
    whole = Linear(np.zeros((12, 3), dtype=np.float32), np.zeros(12, dtype=np.float32))
    for part in fused(whole, 2, 2):
        assert np.shares_memory(part.weight, whole.weight)
        assert part.bias is not None
        assert np.shares_memory(part.bias, whole.bias)


def test_a_random_layer_is_the_same_for_the_same_seed() -> None:
    one, same, other = (MultiHeadAttention.random(16, 2, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.query.weight, same.query.weight)
    assert (one.query.weight != other.query.weight).all()
    assert (one.query.weight != one.key.weight).all()


def test_a_random_layer_has_no_biases_and_weights_of_variance_one_over_the_width() -> None:
    layer = MultiHeadAttention.random(400, 4, seed=0, mask=masks.causal)
    parts = (layer.query, layer.key, layer.value, layer.output)
    assert {part.bias for part in parts} == {None}
    for part in parts:  # 160,000 draws: the spread is known to 0.2 %, four times that is 0.8 %
        assert part.weight.dtype == np.float32
        assert part.weight.std() == pytest.approx(0.05, rel=0.008)
    assert layer.mask is masks.causal


def raised(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(AttnError) as caught:
        call()
    return caught.value.problem, caught.value.hint


@pytest.mark.parametrize(("width", "heads"), [(16, 3), (16, 0), (16, -2), (0, 2)])
def test_an_indivisible_width_is_an_error(width: int, heads: int) -> None:
    problem = f"{width} features cannot be divided evenly among {heads} heads"
    expected = (problem, "choose a width that is a multiple of the number of heads")
    assert raised(lambda: check_heads(width, heads, 1)) == expected
    assert raised(lambda: MultiHeadAttention.random(width, heads)) == expected
    assert raised(lambda: shell.MultiHeadAttentionModule(width, heads)) == expected


@pytest.mark.parametrize("kv_heads", [3, 8, 0, -2])
def test_indivisible_heads_are_an_error(kv_heads: int) -> None:
    problem = f"4 heads cannot be divided evenly among {kv_heads} key/value heads"
    expected = (problem, "choose a number of heads that is a multiple of the key/value heads")
    assert raised(lambda: check_heads(16, 4, kv_heads)) == expected
    assert raised(lambda: shell.MultiHeadAttentionModule(16, 4, kv_heads=kv_heads)) == expected


@pytest.mark.parametrize(
    ("rows", "problem", "hint"),
    [
        (
            (8, 6, 8, 8),
            "the key projection has 6 rows, not 2 × 4",
            "a weight with kv_heads × head size rows",
        ),
        (
            (8, 8, 4, 8),
            "the value projection has 4 rows, not 2 × 4",
            "a weight with kv_heads × head size rows",
        ),
        (
            (8, 8, 8, 6),
            "the output projection has 6 columns, not 2 × 4",
            "a weight with heads × head size columns",
        ),
        (
            (7, 8, 8, 8),
            "7 features cannot be divided evenly among 2 heads",
            "choose a width that is a multiple of the number of heads",
        ),
    ],
)
def test_projections_of_the_wrong_shape_are_an_error(
    array: Convert, rows: tuple[int, int, int, int], problem: str, hint: str
) -> None:
    *inner, columns = rows
    query, key, value = (Linear(array(np.zeros((count, 5)))) for count in inner)
    output = Linear(array(np.zeros((5, columns))))
    assert raised(lambda: MultiHeadAttention(query, key, value, output, 2, 2)) == (problem, hint)


@pytest.mark.parametrize(("rows", "heads", "kv_heads"), [(13, 2, 2), (10, 3, 2)])
def test_an_indivisible_fused_matrix_is_an_error(
    array: Convert, rows: int, heads: int, kv_heads: int
) -> None:
    found = raised(lambda: fused(Linear(array(np.zeros((rows, 5)))), heads, kv_heads))
    problem = f"{rows} rows do not fit queries of {heads} heads and keys and values of {kv_heads}"
    assert found == (problem, "check the number of heads")


def test_the_package_exports_both_layers() -> None:
    assert attn_cli.MultiHeadAttention is MultiHeadAttention
    assert attn_cli.MultiHeadAttentionModule is shell.MultiHeadAttentionModule


def test_dir_lists_the_exports_of_the_package() -> None:
    assert {*attn_cli.__all__, "MultiHeadAttentionModule"} <= set(dir(attn_cli))
    assert all(getattr(attn_cli, name) is not None for name in attn_cli.__all__)


def test_an_input_of_the_wrong_width_is_an_error(array: Convert, rng: np.random.Generator) -> None:
    layer = layer_of(array, rng)
    x, narrow = array(drawn(rng, 3, WIDTH)), array(drawn(rng, 3, WIDTH - 1))
    assert raised(lambda: layer(narrow)) == (
        f"x has {WIDTH - 1} features, but the layer takes {WIDTH}",
        f"an array of shape (T, {WIDTH})",
    )
    assert (
        raised(lambda: layer(x, narrow))[0] == f"memory has {WIDTH - 1} features, but the layer takes {WIDTH}"
    )


@pytest.mark.parametrize("head", [-1, 9])
def test_a_head_that_does_not_exist_is_an_error(array: Convert, rng: np.random.Generator, head: int) -> None:
    attention = layer_of(array, rng).attention(array(drawn(rng, 3, WIDTH)))
    problem = f"head {head} does not exist: there are {attention.operands.heads}, numbered from 0"
    assert raised(lambda: attention.trace([head]))[0] == problem
    assert raised(lambda: attention.steps([head], ["output"]))[0] == problem


def test_a_step_that_does_not_exist_is_an_error(array: Convert, rng: np.random.Generator) -> None:
    attention = layer_of(array, rng).attention(array(drawn(rng, 3, WIDTH)))
    with pytest.raises(ValueError, match="'nonsense' is not a valid Step"):
        attention.steps([0], ["nonsense"])


def test_the_steps_of_a_batch_are_those_of_its_members(array: Convert, rng: np.random.Generator) -> None:
    layer, batch = layer_of(array, rng), array(drawn(rng, 2, 3, WIDTH))
    found = layer.attention(batch).steps([1, 0], set(Step))
    for member in range(2):
        alone = layer.attention(batch[member]).steps([1, 0], set(Step))
        for step, expected in alone.items():  # sums may run in another order
            np.testing.assert_allclose(to_numpy(found[step])[member], to_numpy(expected), atol=1e-5)


def test_the_package_has_no_other_name() -> None:
    with pytest.raises(AttributeError) as caught:
        _ = attn_cli.Transformer
    assert str(caught.value) == "module 'attn_cli' has no attribute 'Transformer'"


def test_the_example_in_the_documentation_runs() -> None:
    assert doctest.testmod(module) == doctest.TestResults(failed=0, attempted=3)
