"""The layer as a `torch.nn.Module`: the same numbers, gradients, formats and devices."""

import copy
from typing import Any

import pytest
import torch
from torch.func import functional_call

from attn_cli.core import masks
from attn_cli.core.arrays import to_numpy
from attn_cli.core.multihead import Linear, MultiHeadAttention
from attn_cli.core.torch_module import MultiHeadAttentionModule
from attn_cli.errors import AttnError
from attn_cli.vocabulary import Step

WIDTH, HEADS, T, S = 12, 3, 5, 7
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def same(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)  # float64, sums in another order


def pytorch_layer(**rest: Any) -> torch.nn.MultiheadAttention:
    """PyTorch's layer in float64, with nonzero biases and peaked rows."""
    layer = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, dtype=torch.float64, **rest)
    for name, parameter in layer.named_parameters():
        torch.nn.init.normal_(parameter, std=1.0 if name.endswith("bias") else 0.7)
    return layer


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("bias", [False, True])
def test_a_copy_of_pytorchs_layer_gives_the_same(*, bias: bool) -> None:
    theirs = pytorch_layer(bias=bias)
    ours, x, memory = MultiHeadAttentionModule.of(theirs), numbers(2, T, WIDTH), numbers(2, S, WIDTH)
    output, weights = theirs(x, memory, memory, average_attn_weights=False)
    assert weights.amax(dim=-1).mean() > 0.5  # peaked: flat rows pass with broken maths
    same(ours(x, memory), output)
    same(ours.attention(x, memory).trace().weights, weights)


def test_a_copy_of_pytorchs_layer_takes_the_same_masks() -> None:
    theirs, x = pytorch_layer(), numbers(2, T, WIDTH)
    ours = MultiHeadAttentionModule.of(theirs, mask=masks.causal)
    real = torch.tensor([[True] * T, [True, True, True, False, False]])
    later = torch.ones(T, T, dtype=torch.bool).triu(1)
    output, _ = theirs(x, x, x, attn_mask=later, key_padding_mask=~real)
    same(ours(x, mask=masks.padding(real)), output)


def test_a_copy_shares_nothing_with_its_original() -> None:
    theirs = pytorch_layer()
    ours, x = MultiHeadAttentionModule.of(theirs), numbers(T, WIDTH)
    before = ours(x)
    with torch.no_grad():
        theirs.in_proj_weight.zero_()
    same(ours(x), before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_copy_keeps_the_number_format(dtype: torch.dtype) -> None:
    ours = MultiHeadAttentionModule.of(torch.nn.MultiheadAttention(WIDTH, HEADS, dtype=dtype))
    assert {parameter.dtype for parameter in ours.parameters()} == {dtype}


@pytest.mark.parametrize("rest", [{"add_bias_kv": True}, {"add_zero_attn": True}, {"kdim": 5}, {"vdim": 5}])
def test_a_layer_with_unsupported_parts_is_an_error(rest: dict[str, Any]) -> None:
    with pytest.raises(AttnError) as caught:
        MultiHeadAttentionModule.of(pytorch_layer(**rest))
    problem = "unsupported layer: torch.nn.MultiheadAttention with add_bias_kv, add_zero_attn or kdim"
    assert caught.value.problem == problem
    assert caught.value.hint == "build one without add_bias_kv, add_zero_attn, kdim and vdim"


def slope(tensor: torch.Tensor) -> torch.Tensor:
    assert tensor.grad is not None
    return tensor.grad


def test_gradients_are_those_of_pytorchs_layer() -> None:
    theirs, x, goal = pytorch_layer(), numbers(2, T, WIDTH), numbers(2, T, WIDTH)
    ours = MultiHeadAttentionModule.of(theirs, mask=masks.causal)
    later = torch.ones(T, T, dtype=torch.bool).triu(1)
    mine, yours = (x.clone().requires_grad_() for _ in range(2))
    (ours(mine) * goal).sum().backward()
    (theirs(yours, yours, yours, attn_mask=later)[0] * goal).sum().backward()
    same(slope(mine), slope(yours))
    for kind in ("weight", "bias"):
        stacked = [slope(getattr(each, kind)) for each in (ours.query, ours.key, ours.value)]
        same(torch.cat(stacked), slope(getattr(theirs, f"in_proj_{kind}")))
        same(slope(getattr(ours.output, kind)), slope(getattr(theirs.out_proj, kind)))


def test_gradients_match_finite_differences() -> None:
    layer = MultiHeadAttentionModule(4, 2, kv_heads=1, mask=masks.causal).double()
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def call(x: torch.Tensor, memory: torch.Tensor, *values: torch.Tensor) -> Any:
        return functional_call(layer, dict(zip(names, values, strict=True)), (x, memory))

    inputs = (numbers(3, 4).requires_grad_(), numbers(4, 4).requires_grad_())
    assert torch.autograd.gradcheck(call, (*inputs, *parameters))


def test_a_fully_masked_row_has_gradients_without_nan() -> None:
    layer, x = MultiHeadAttentionModule(WIDTH, HEADS), torch.randn(T, WIDTH, requires_grad=True)
    layer(x, mask=masks.padding(torch.zeros(T, dtype=torch.bool))).sum().backward()
    torch.testing.assert_close(x.grad, torch.zeros(T, WIDTH))


def test_training_lowers_the_loss() -> None:
    layer, x = MultiHeadAttentionModule(WIDTH, HEADS, kv_heads=1), torch.randn(T, WIDTH)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = (layer(x) - x).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("rest", [{}, {"kv_heads": 1}, {"bias": False}])
def test_the_state_of_one_layer_fits_another(rest: dict[str, Any]) -> None:
    one, other = (MultiHeadAttentionModule(WIDTH, HEADS, **rest) for _ in range(2))
    x = torch.randn(T, WIDTH)
    assert not torch.allclose(one(x), other(x))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x), other(x))


def test_the_state_has_four_projections() -> None:
    state = MultiHeadAttentionModule(WIDTH, HEADS, kv_heads=1).state_dict()
    shapes = {name: tuple(numbers.shape) for name, numbers in state.items()}
    assert shapes == {
        "query.weight": (12, 12),
        "query.bias": (12,),
        "key.weight": (4, 12),
        "key.bias": (4,),
        "value.weight": (4, 12),
        "value.bias": (4,),
        "output.weight": (12, 12),
        "output.bias": (12,),
    }


def test_the_module_and_the_numpy_layer_agree() -> None:
    shell, x = MultiHeadAttentionModule(WIDTH, HEADS, kv_heads=1, mask=masks.causal), torch.randn(2, T, WIDTH)

    def plain(one: torch.nn.Linear) -> Linear:
        return Linear(to_numpy(one.weight), to_numpy(one.bias))

    parts = (plain(shell.query), plain(shell.key), plain(shell.value), plain(shell.output))
    layer = MultiHeadAttention(*parts, HEADS, 1, mask=masks.causal)
    found = torch.from_numpy(layer(to_numpy(x)))
    torch.testing.assert_close(found, shell(x).detach(), rtol=0, atol=1e-6)  # float32, outputs below 1


def test_the_steps_of_a_module_are_available() -> None:
    shell, x = MultiHeadAttentionModule(WIDTH, HEADS), torch.randn(T, WIDTH)
    steps = shell.attention(x).steps(range(HEADS), [Step.OUTPUT, Step.WEIGHTS])
    torch.testing.assert_close(steps[Step.WEIGHTS].sum(dim=-1), torch.ones(HEADS, T))
    torch.testing.assert_close(steps[Step.OUTPUT].sum(dim=0) + shell.output.bias, shell(x))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_module_runs_in_any_format_on_any_device(device: str, dtype: torch.dtype) -> None:
    exact, x = MultiHeadAttentionModule(WIDTH, HEADS, kv_heads=1, mask=masks.causal), torch.randn(2, T, WIDTH)
    layer = copy.deepcopy(exact).to(device=device, dtype=dtype)
    found = layer(x.to(device=device, dtype=dtype), mask=masks.padding(torch.ones(T, device=device) > 0))
    assert (found.dtype, found.device.type) == (dtype, device)
    reach = max(4 * torch.finfo(dtype).eps, 1e-6)  # outputs below 1 after four products
    torch.testing.assert_close(found.float().cpu(), exact(x), rtol=0, atol=reach)


def test_a_meta_module_knows_its_shape() -> None:
    layer = MultiHeadAttentionModule(WIDTH, HEADS, mask=masks.causal).to("meta")
    found = layer(torch.empty(2, T, WIDTH, device="meta"), torch.empty(2, S, WIDTH, device="meta"))
    assert found.device.type == "meta"
    assert found.shape == (2, T, WIDTH)
