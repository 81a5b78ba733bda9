"""The trained network has the same loss and gradients as transformers' GPT-2."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from attn_cli.core.arrays import constant
from attn_cli.training.network import config_of, waves
from attn_cli.vocabulary import DType
from tests.support.small_run import network, recipe

IDS = torch.tensor([[0, 5, 9, 5, 9, 200, 7, 1, 299, 5], [0, 3, 3, 3, 8, 9, 200, 7, 1, 2]])


def reference_model(ours: Any) -> Any:
    """transformers' GPT-2 with the same weights."""
    config = {name: value for name, value in config_of(recipe(), 300).items() if name != "dtype"}
    reference: Any = GPT2LMHeadModel(GPT2Config(**config))
    reference.eval()
    with torch.no_grad():
        for name, tensor in reference.transformer.named_parameters():
            tensor.copy_(ours.parameters.tensors[name])
    return reference


def test_loss_and_gradients_are_those_of_transformers() -> None:
    ours = network()
    with torch.no_grad():
        for tensor in ours.parameters.tensors.values():
            tensor.mul_(8.0 if tensor.ndim > 1 else 1.0)  # peaked attention: flat rows hide mistakes
    reference = reference_model(ours)
    loss = ours.losses(IDS).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    expected = torch.nn.functional.cross_entropy(
        reference(input_ids=IDS[:, :-1]).logits.flatten(0, 1), IDS[:, 1:].flatten()
    )
    expected.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    gradients = dict(reference.transformer.named_parameters())
    for name, tensor in ours.learning.items():
        assert tensor.grad is not None
        difference = (tensor.grad - gradients[name].grad).abs().max() / gradients[name].grad.abs().max()
        assert difference < 1e-4, name  # float32, four products deep


def test_a_new_model_predicts_at_chance() -> None:
    loss = network().losses(IDS).mean().item()
    assert loss == pytest.approx(math.log(300), rel=0.05)  # even guesses, but for the fresh weights


def test_the_same_seed_is_the_same_model_and_another_is_another() -> None:
    first, again, other = network(0), network(0), network(1)
    for name, tensor in first.parameters.tensors.items():
        assert torch.equal(tensor, again.parameters.tensors[name])
    name = "h.1.mlp.c_fc.weight"
    assert not torch.equal(first.parameters.tensors[name], other.parameters.tensors[name])


def test_positions_are_fixed_and_all_else_is_trainable() -> None:
    ours = network()
    assert set(ours.parameters.tensors) - set(ours.learning) == {"wpe.weight"}
    optimizer = ours.optimizer(0.1)
    held = [tensor for group in optimizer.param_groups for tensor in group["params"]]
    assert len(held) == len(ours.learning)


def test_a_step_to_the_previous_position_is_one_rotation() -> None:
    places, width = 64, 32
    found = waves(places, width)
    assert np.mean(found**2) == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-6)
    step, *_ = np.linalg.lstsq(np.c_[found[1:], np.ones(places - 1)], found[:-1], rcond=None)
    guessed = np.c_[found[1:], np.ones(places - 1)] @ step
    assert np.abs(guessed - found[:-1]).max() < 1e-3  # one linear map for all places; float32 waves


def test_rounding_gives_the_numbers_of_the_file() -> None:
    ours = network()
    ours.round_to(DType.FLOAT16)
    for tensor in ours.parameters.tensors.values():
        assert torch.equal(tensor.half().float(), tensor)


def test_no_gradient_flows_through_a_constant() -> None:
    x = torch.ones(3, requires_grad=True)
    assert not constant(x).requires_grad
    array = np.ones(3)
    assert constant(array) is array
