"""Rollout and flow: against loops, linear programs and cuts; what causal and deep models do to them."""

import itertools
import sys

import numpy as np
import pytest
from scipy.optimize import linprog

from attn_cli.analysis import flow as flows
from attn_cli.analysis.flow import check_scipy, check_size, flow
from attn_cli.analysis.mixing import mixed, rollout
from attn_cli.core.arrays import Exact
from attn_cli.errors import AttnError


def peaked(layers: int, tokens: int, seed: int, *, is_causal: bool) -> list[Exact]:
    """The mean weights of each layer, with rows that rest on few keys."""
    draw = np.random.default_rng(seed)
    weights = np.exp(4 * draw.normal(size=(layers, tokens, tokens)))
    if is_causal:
        weights = np.tril(weights)
    return list(weights / weights.sum(axis=-1, keepdims=True))


def unseen(_done: int, _total: int) -> None:
    pass


def rollout_by_paths(layers: list[Exact], position: int) -> Exact:
    """The sum over all paths of the products of their capacities, path by path."""
    tokens = len(layers[0])
    shares = np.zeros(tokens)
    for path in itertools.product(range(tokens), repeat=len(layers)):
        stations = (position, *path)  # from the last layer down
        steps = zip(reversed(layers), stations, stations[1:], strict=False)
        shares[stations[-1]] += np.prod([layer[query, key] for layer, query, key in steps])
    return shares


def flow_by_program(layers: list[Exact], position: int, token: int) -> float:
    """The maximum flow as a linear program: a variable for each edge, a balance for each inner node."""
    tokens, count = len(layers[0]), len(layers)
    edges = list(itertools.product(range(count), range(tokens), range(tokens)))
    balance = np.zeros(((count + 1) * tokens, len(edges)))
    for number, (layer, query, key) in enumerate(edges):
        balance[(layer + 1) * tokens + query, number] -= 1
        balance[layer * tokens + key, number] += 1
    source = count * tokens + position
    inner = [node for node in range(len(balance)) if node not in {source, token}]
    bounds = [(0, layers[layer][query, key]) for layer, query, key in edges]
    found = linprog(balance[source], A_eq=balance[inner], b_eq=np.zeros(len(inner)), bounds=bounds)
    return -float(found.fun)


def flow_by_cuts(layers: list[Exact], position: int, token: int) -> float:
    """The smallest cut, of all cuts: what flows is at most what any of them lets through."""
    tokens, count = len(layers[0]), len(layers)
    source, nodes = count * tokens + position, (count + 1) * tokens
    others = [node for node in range(nodes) if node not in {source, token}]
    smallest = np.inf
    for sides in itertools.product((False, True), repeat=len(others)):
        is_above = dict(zip(others, sides, strict=True)) | {source: True, token: False}
        cut = sum(
            layers[layer][query, key]
            for layer, query, key in itertools.product(range(count), range(tokens), range(tokens))
            if is_above[(layer + 1) * tokens + query] and not is_above[layer * tokens + key]
        )
        smallest = min(smallest, cut)
    return float(smallest)


def test_half_of_a_layer_is_the_residual_stream() -> None:
    np.testing.assert_array_equal(mixed(np.array([[1.0, 0.0], [0.5, 0.5]])), [[1, 0], [0.25, 0.75]])


@pytest.mark.parametrize("is_causal", [False, True])
def test_rollout_is_the_sum_over_all_paths(*, is_causal: bool) -> None:
    layers = [mixed(weights) for weights in peaked(4, 4, 3, is_causal=is_causal)]
    for position in range(4):
        shares = rollout(layers, position)
        assert shares.shape == (4, 4)
        np.testing.assert_allclose(shares[-1], rollout_by_paths(layers, position), atol=1e-12)
        np.testing.assert_allclose(shares[1], rollout_by_paths(layers[:2], position), atol=1e-12)
        np.testing.assert_allclose(shares.sum(axis=-1), 1, atol=1e-12)


@pytest.mark.parametrize("is_causal", [False, True])
def test_flow_is_the_solution_of_the_linear_program(*, is_causal: bool) -> None:
    layers = [mixed(weights) for weights in peaked(4, 5, 7, is_causal=is_causal)]
    for position in (0, 2, 4):
        expected = [flow_by_program(layers, position, token) for token in range(5)]
        np.testing.assert_allclose(flow(layers, position, unseen), expected, atol=1e-8)  # rounded to 2⁻³⁰


def test_flow_is_the_smallest_cut() -> None:
    layers = [mixed(weights) for weights in peaked(2, 4, 1, is_causal=False)]
    expected = [flow_by_cuts(layers, 1, token) for token in range(4)]
    np.testing.assert_allclose(flow(layers, 1, unseen), expected, atol=1e-8)
    assert np.ptp(expected) > 0.1


def test_a_narrow_place_bounds_the_flow_and_not_its_ends() -> None:
    """Token 1 is left by half of its residual stream in each layer; only the first layer leads to token 0."""
    layers = [np.array([[1.0, 0.0], [0.1, 0.9]]), np.array([[1.0, 0.0], [0.0, 1.0]])]
    np.testing.assert_allclose(flow(layers, 1, unseen), [0.1, 0.9], atol=1e-9)


def test_a_deep_causal_stack_rolls_out_to_its_first_token_whatever_the_weights_are() -> None:
    flat = np.tril(np.ones((12, 12)))
    layers = [mixed(flat / flat.sum(axis=-1, keepdims=True))] * 60
    assert rollout(layers, 11)[-1, 0] > 0.999
    assert rollout(layers[:1], 11)[-1, 0] < 0.1


def test_progress_counts_the_tokens_whose_flow_is_known() -> None:
    seen: list[tuple[int, int]] = []
    flow([np.eye(3)], 0, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_flow_without_scipy_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(AttnError) as error:
        check_scipy()
    assert error.value.problem == "attention flow needs the package scipy, which is not installed"
    assert error.value.hint == "pip install 'attn-cli[flow]'"


def test_a_network_that_takes_hours_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "_MOST_EDGES", 29)
    with pytest.raises(AttnError, match="has 30 edges"):
        check_size(3, 4, is_causal=True)
    monkeypatch.setattr(flows, "_MOST_EDGES", 30)
    check_size(3, 4, is_causal=True)
    with pytest.raises(AttnError) as error:
        check_size(2, 4, is_causal=False)
    assert error.value.problem == (
        "attention flow of 4 tokens through 2 layers has 32 edges: at most 30 are computed"
    )
    assert error.value.hint == "a shorter text, or --rollout"
