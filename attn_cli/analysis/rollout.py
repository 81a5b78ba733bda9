"""Attention rollout: how the weights of all layers, multiplied, lead from a position back to the text.

Abnar and Zuidema 2020, "Quantifying attention flow in transformers", arXiv:2005.00928. L layers, T tokens. It
knows weights alone: neither what values carry, nor W^O, nor feed-forward blocks.
"""

from collections.abc import Iterable

import numpy as np

from attn_cli.core.arrays import Exact


def with_residual(weights: Exact) -> Exact:
    """(T, T) half of the heads' mean weights, and half of the identity for the residual stream."""
    return 0.5 * weights + 0.5 * np.eye(len(weights))


def roll_out(layers: Iterable[Exact], position: int) -> Exact:
    """(L, T) the share of each token of the text in a position, after each layer.

    `layers` are those of `with_residual`, from the first: R_l = Ā_l R_(l-1). A row sums to 1, less what
    learned sinks take.
    """
    rows, product = list[Exact](), None
    for layer in layers:
        product = layer if product is None else layer @ product
        rows.append(product[position])
    return np.stack(rows)
