"""`MultiHeadAttention` as a `torch.nn.Module`: parameters, `state_dict`, autograd, `.to("cuda")`."""

from collections.abc import Sequence

import torch  # 1.7 s: imported only by code that needs it anyway

from attn_cli.core.arrays import Array
from attn_cli.core.masks import Rule, everywhere
from attn_cli.core.multihead import Attention, Linear, MultiHeadAttention, check_heads, fused
from attn_cli.core.positions import Rotary
from attn_cli.errors import AttnError, UsageError

STACKED, PER_HEAD = "stacked", "per-head"
"""How the rows of a fused projection are ordered."""


class MultiHeadAttentionModule(torch.nn.Module):
    """A trainable attention layer that runs the same code as `attn inspect`.

    It has the four projections as `torch.nn.Linear`; the arithmetic is that of `MultiHeadAttention`. Input
    and output are (..., T, M). For a position bias or a sink use `MultiHeadAttention` itself.

    Raises:
        UsageError: the width is not a multiple of the heads, or the heads not one of the key/value heads.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        kv_heads: int | None = None,
        bias: bool = True,
        scale: float | None = None,
        mask: Rule = everywhere,
        softcap: float | None = None,
        rotary: Rotary | None = None,
    ) -> None:
        super().__init__()
        groups = heads if kv_heads is None else kv_heads
        check_heads(width, heads, groups)
        self.heads, self.kv_heads = heads, groups
        self.scale, self.mask, self.softcap, self.rotary = scale, mask, softcap, rotary
        shared = width // heads * groups
        self.query = torch.nn.Linear(width, width, bias=bias)
        self.key = torch.nn.Linear(width, shared, bias=bias)
        self.value = torch.nn.Linear(width, shared, bias=bias)
        self.output = torch.nn.Linear(width, width, bias=bias)

    @classmethod
    def of(cls, layer: torch.nn.MultiheadAttention, *, mask: Rule = everywhere) -> "MultiHeadAttentionModule":
        """A copy of PyTorch's own layer: the same weights, and the same result without dropout.

        It takes (B, T, M) whatever the layer's `batch_first` is.

        Raises:
            AttnError: the layer has `add_bias_kv`, `add_zero_attn`, `kdim` or `vdim`.
        """
        if layer.in_proj_weight is None or layer.bias_k is not None or layer.add_zero_attn:
            problem = "unsupported layer: torch.nn.MultiheadAttention with add_bias_kv, add_zero_attn or kdim"
            raise AttnError(problem, "build one without add_bias_kv, add_zero_attn, kdim and vdim")
        copy = cls(layer.embed_dim, layer.num_heads, bias=layer.in_proj_bias is not None, mask=mask)
        copy.to(layer.in_proj_weight)  # its dtype and device
        projections = fused(Linear(layer.in_proj_weight, layer.in_proj_bias), copy.heads, copy.heads)
        for into, linear in zip((copy.query, copy.key, copy.value), projections, strict=True):
            _copy_into(into, linear)
        _copy_into(copy.output, Linear(layer.out_proj.weight, layer.out_proj.bias))
        return copy

    @classmethod
    def from_fused(
        cls,
        qkv: torch.nn.Linear,
        output: torch.nn.Linear,
        heads: int,
        *,
        kv_heads: int | None = None,
        layout: str = STACKED,
        mask: Rule = everywhere,
    ) -> "MultiHeadAttentionModule":
        """A copy of a layer with one projection for queries, keys and values.

        `layout` is the order of its rows. "stacked": all queries, all keys, all values (GPT-2, minGPT).
        "per-head": the result is reshaped to (T, H, 3 · D) and then cut into three, as in many textbooks
        (GPT-NeoX); with `kv_heads` each has its H/G queries first.

        Raises:
            UsageError: the layout is unknown, or the heads do not divide the width.
            AttnError: the projection does not have the rows of these heads.
        """
        copy = cls(output.out_features, heads, kv_heads=kv_heads, bias=qkv.bias is not None, mask=mask)
        copy.output = torch.nn.Linear(output.in_features, output.out_features, bias=output.bias is not None)
        copy.to(qkv.weight)  # its dtype and device
        whole = Linear(qkv.weight, qkv.bias)
        parts = fused(whole, copy.heads, copy.kv_heads, interleaved=_is_per_head(layout))
        for into, linear in zip((copy.query, copy.key, copy.value), parts, strict=True):
            _copy_into(into, linear)
        _copy_into(copy.output, Linear(output.weight, output.bias))
        return copy

    def to_fused(self, layout: str = STACKED) -> tuple[torch.nn.Linear, torch.nn.Linear]:
        """Copies of the projections in one, as `from_fused` takes them, and of W^O.

        Raises:
            UsageError: the layout is unknown.
        """
        parts, groups = (self.query, self.key, self.value), self.kv_heads if _is_per_head(layout) else 1
        rows = sum(part.out_features for part in parts)
        whole = torch.nn.Linear(self.query.in_features, rows, bias=self.query.bias is not None)
        output = torch.nn.Linear(
            self.output.in_features, self.output.out_features, self.output.bias is not None
        )
        biases = [part.bias for part in parts]
        together = None if biases[0] is None else _by_group(biases, groups)
        _copy_into(
            whole.to(self.query.weight), Linear(_by_group([part.weight for part in parts], groups), together)
        )
        _copy_into(output.to(self.output.weight), Linear(self.output.weight, self.output.bias))
        return whole, output

    def layer(self) -> MultiHeadAttention:
        """A `MultiHeadAttention` over these parameters: nothing is copied, and gradients flow."""
        projections = (self.query, self.key, self.value, self.output)
        query, key, value, output = (Linear(projection.weight, projection.bias) for projection in projections)
        return MultiHeadAttention(
            query,
            key,
            value,
            output,
            heads=self.heads,
            kv_heads=self.kv_heads,
            scale=self.scale,
            mask=self.mask,
            softcap=self.softcap,
            rotary=self.rotary,
        )

    def attention(self, x: Array, memory: Array | None = None, mask: Rule | None = None) -> Attention:
        """The same as a call, with access to every step."""
        return self.layer().attention(x, memory, mask)

    def forward(self, x: Array, memory: Array | None = None, mask: Rule | None = None) -> Array:
        """(T, M) the output for `x` (T, M); keys and values come from `memory` (S, M) if it is given."""
        return self.layer()(x, memory, mask)


def _is_per_head(layout: str) -> bool:
    if layout not in (STACKED, PER_HEAD):
        raise UsageError(f"unknown layout '{layout}'", f"layout={STACKED!r} or {PER_HEAD!r}")
    return layout == PER_HEAD


def _by_group(parts: Sequence[torch.Tensor], groups: int) -> torch.Tensor:
    """The parts (rows, ...) in one: group by group, the rows of each part that belong to it."""
    apart = [part.reshape(groups, -1, *part.shape[1:]) for part in parts]
    return torch.cat(apart, dim=1).flatten(0, 1)


def _copy_into(module: torch.nn.Linear, linear: Linear) -> None:
    with torch.no_grad():
        module.weight.copy_(linear.weight)
        if module.bias is not None and linear.bias is not None:
            module.bias.copy_(linear.bias)
