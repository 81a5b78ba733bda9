"""`MultiHeadAttention` as a `torch.nn.Module`: parameters, `state_dict`, autograd, `.to("cuda")`."""

import torch  # 1.7 s: imported only by code that needs it anyway

from attn_cli.core.arrays import Array
from attn_cli.core.masks import Rule, everywhere
from attn_cli.core.multihead import Attention, Linear, MultiHeadAttention, check_heads, fused
from attn_cli.core.positions import Rotary
from attn_cli.errors import AttnError


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


def _copy_into(module: torch.nn.Linear, linear: Linear) -> None:
    with torch.no_grad():
        module.weight.copy_(linear.weight)
        if module.bias is not None and linear.bias is not None:
            module.bias.copy_(linear.bias)
