"""Attention flow: how much can run from a position through all layers to one token of the text.

Abnar and Zuidema 2020, arXiv:2005.00928: the maximum flow in a network whose nodes are tokens at layers and
whose capacities are half of the heads' mean weights, and half of the identity. L layers, T tokens.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attn_cli.core.arrays import Exact
from attn_cli.errors import AttnError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_UNIT = 1 << 30  # SciPy's capacities are 32-bit integers: 1 is this many
_MOST_EDGES = 1 << 22  # 4 million; one flow takes about a second then, and there is one for each token


def check_scipy() -> None:
    """Check that SciPy is installed.

    Raises:
        AttnError: it is not.
    """
    try:
        import scipy  # noqa: F401  0.05 s
    except ImportError as error:
        problem = "attention flow needs the package scipy, which is not installed"
        raise AttnError(problem, "pip install 'attn-cli[flow]'") from error


def check_size(layers: int, tokens: int, *, is_causal: bool) -> None:
    """Check that the network is not so large that its flows would take hours.

    Raises:
        AttnError: it is.
    """
    pairs = tokens * (tokens + 1) // 2 if is_causal else tokens**2
    if layers * pairs > _MOST_EDGES:
        problem = f"attention flow of {tokens:,} tokens through {layers} layers has {layers * pairs:,} edges"
        raise AttnError(f"{problem}: at most {_MOST_EDGES:,} are computed", "a shorter text, or --rollout")


def maximum_flows(layers: Sequence[Exact], position: int, progress: Callable[[int, int], None]) -> Exact:
    """(T,) the maximum flow from a position after the last layer to each token of the text, from 0 to 1.

    `layers` are those of `with_residual`. Capacities are rounded to 2⁻³⁰. `progress` is called with the
    number of tokens that are done, and how many there are.
    """
    from scipy.sparse.csgraph import maximum_flow  # 0.2 s

    tokens = len(layers[0])
    network, source = _network(layers), len(layers) * tokens + position
    flows = np.zeros(tokens)
    for token in range(tokens):
        flows[token] = maximum_flow(network, source, token).flow_value / _UNIT
        progress(token + 1, tokens)
    return flows


def _network(layers: Sequence[Exact]) -> "csr_array":
    """Nodes are tokens before each layer, and after the last; edges lead down, with integer capacities."""
    from scipy.sparse import csr_array

    tokens = len(layers[0])
    capacities = [np.rint(layer * _UNIT).astype(np.int32) for layer in layers]
    places = [np.nonzero(layer) for layer in capacities]
    upper = [(number + 1) * tokens + query for number, (query, _) in enumerate(places)]
    lower = [number * tokens + key for number, (_, key) in enumerate(places)]
    values = [layer[place] for layer, place in zip(capacities, places, strict=True)]
    nodes = (len(layers) + 1) * tokens
    ends = np.concatenate(upper).astype(np.int32), np.concatenate(lower).astype(np.int32)
    return csr_array((np.concatenate(values), ends), shape=(nodes, nodes))
