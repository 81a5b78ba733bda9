"""A model with only some of what tells it the order of its tokens: position embeddings, RoPE, bias, mask."""

from collections.abc import Collection
from dataclasses import replace

from attn_cli.core.masks import Rule, everywhere, narrowed
from attn_cli.core.positions import Rotary
from attn_cli.models.native.spec import Spec
from attn_cli.vocabulary import OrderSource


def order_sources(spec: Spec, layers: int, length: int) -> tuple[OrderSource, ...]:
    """What tells the first `layers` layers the order of `length` tokens."""
    embeddings, numbers = spec.embeddings, range(layers)
    has = {
        OrderSource.LEARNED: embeddings.positions is not None,
        OrderSource.SINUSOIDS: embeddings.has_sinusoids,
        OrderSource.ROTARY: any(spec.rotary(layer, length) is not None for layer in numbers),
        OrderSource.ALIBI: spec.is_alibi,
        OrderSource.RELATIVE: spec.relative is not None,
        OrderSource.CONTENT: spec.content_bias is not None,
        OrderSource.CAUSAL: spec.is_causal,
        OrderSource.WINDOW: any(_is_narrow(spec.window(layer), length) for layer in numbers),
    }
    return tuple(source for source in OrderSource if has[source])


def with_order_from(spec: Spec, kept: Collection[OrderSource]) -> Spec:
    """The same model, to which nothing but `kept` tells the order of its tokens."""
    embeddings = replace(
        spec.embeddings,
        positions=spec.embeddings.positions if OrderSource.LEARNED in kept else None,
        has_sinusoids=spec.embeddings.has_sinusoids and OrderSource.SINUSOIDS in kept,
    )
    return replace(
        spec,
        embeddings=embeddings,
        rotary=spec.rotary if OrderSource.ROTARY in kept else _no_rotary,
        is_alibi=spec.is_alibi and OrderSource.ALIBI in kept,
        relative=spec.relative if OrderSource.RELATIVE in kept else None,
        content_bias=spec.content_bias if OrderSource.CONTENT in kept else None,
        is_causal=spec.is_causal and OrderSource.CAUSAL in kept,
        window=spec.window if OrderSource.WINDOW in kept else _no_window,
    )


def _is_narrow(window: Rule, length: int) -> bool:
    """Whether the window hides any of `length` tokens from the first or the last of them."""
    band = narrowed(window).band
    return any(reach is not None and reach < length - 1 for reach in (band.before, band.after))


def _no_rotary(_layer: int, _length: int) -> Rotary | None:
    return None


def _no_window(_layer: int) -> Rule:
    return everywhere
