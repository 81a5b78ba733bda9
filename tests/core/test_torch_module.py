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


class SelfAttention(torch.nn.Module):
    """The textbook's: one projection, reshaped to heads × 3 · head size, then cut."""

    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.qkv_proj = torch.nn.Linear(WIDTH, 3 * WIDTH, bias=bias, dtype=torch.float64)
        self.output_proj = torch.nn.Linear(WIDTH, WIDTH, dtype=torch.float64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        qkv = self.qkv_proj(x).reshape(batch, length, HEADS, -1).permute(0, 2, 1, 3)
        query, key, value = qkv.chunk(3, dim=-1)
        weights = torch.softmax(query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5, dim=-1)
        context = (weights @ value).permute(0, 2, 1, 3).reshape(batch, length, width)
        found: torch.Tensor = self.output_proj(context)
        return found


@pytest.mark.parametrize("bias", [True, False])
def test_the_textbook_s_layer_gives_the_same_and_comes_back(*, bias: bool) -> None:
    theirs, x = SelfAttention(bias=bias), numbers(2, T, WIDTH)
    ours = MultiHeadAttentionModule.from_fused(theirs.qkv_proj, theirs.output_proj, HEADS, layout="per-head")
    same(ours(x), theirs(x))
    qkv, output = ours.to_fused("per-head")
    for found, expected in ((qkv, theirs.qkv_proj), (output, theirs.output_proj)):
        assert found.state_dict().keys() == expected.state_dict().keys()
        for name, parameter in expected.state_dict().items():
            torch.testing.assert_close(found.state_dict()[name], parameter, rtol=0, atol=0)


@pytest.mark.parametrize("kv_heads", [1, 3])
@pytest.mark.parametrize("layout", ["stacked", "per-head"])
def test_a_fused_layer_of_any_layout_comes_back(layout: str, kv_heads: int) -> None:
    rows = (HEADS + 2 * kv_heads) * (WIDTH // HEADS)
    qkv, output = torch.nn.Linear(WIDTH, rows), torch.nn.Linear(WIDTH, WIDTH, bias=False)
    layer = MultiHeadAttentionModule.from_fused(qkv, output, HEADS, kv_heads=kv_heads, layout=layout)
    back, projection = layer.to_fused(layout)
    torch.testing.assert_close(back.weight, qkv.weight, rtol=0, atol=0)
    torch.testing.assert_close(back.bias, qkv.bias, rtol=0, atol=0)
    torch.testing.assert_close(projection.weight, output.weight, rtol=0, atol=0)
    assert projection.bias is None
    assert back.weight is not qkv.weight


def test_a_stacked_layer_is_pytorchs() -> None:
    theirs, x = pytorch_layer(), numbers(2, T, WIDTH)
    qkv = torch.nn.Linear(WIDTH, 3 * WIDTH, dtype=torch.float64)
    qkv.load_state_dict({"weight": theirs.in_proj_weight, "bias": theirs.in_proj_bias})
    same(MultiHeadAttentionModule.from_fused(qkv, theirs.out_proj, HEADS)(x), theirs(x, x, x)[0])


def test_a_layout_that_is_unknown_is_an_error() -> None:
    qkv, output = torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, WIDTH)
    with pytest.raises(AttnError, match=r"^unknown layout 'rows'$") as caught:
        MultiHeadAttentionModule.from_fused(qkv, output, HEADS, layout="rows")
    assert caught.value.hint == "layout='stacked' or 'per-head'"


def test_a_projection_without_the_rows_of_its_heads_is_an_error() -> None:
    qkv, output = torch.nn.Linear(WIDTH, 2 * WIDTH + 1), torch.nn.Linear(WIDTH, WIDTH)
    with pytest.raises(AttnError, match="rows do not fit queries of 3 heads"):
        MultiHeadAttentionModule.from_fused(qkv, output, HEADS)
