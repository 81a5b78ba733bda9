"""A brief run: Muon updates matrices, AdamW the rest, and the state of both is saved."""

from pathlib import Path

import pytest
import torch

from attn_cli.training import saved_state
from attn_cli.training.network import Network, config_of
from attn_cli.training.optimizer.muon import orthogonal
from attn_cli.training.saved_state import RunPosition
from tests.support.small_run import recipe

ROWS = torch.randint(0, 300, (8, 33), generator=torch.Generator().manual_seed(0))


def brief(seed: int = 0) -> Network:
    return Network(config_of(recipe(), 300), seed, "cpu", is_brief=True)


@pytest.mark.parametrize("shape", [(16, 16), (16, 64), (64, 16)])
def test_what_is_made_orthogonal_has_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-3
    values = torch.linalg.svdvals(orthogonal(matrix)) / max(1.0, shape[0] / shape[1]) ** 0.5
    assert values.min() > 0.3  # a random square has one that is nearly 0
    assert values.max() < 1.3


def test_muon_updates_the_matrices_of_blocks_and_adamw_the_rest() -> None:
    ours = brief()
    before = {name: tensor.detach().clone() for name, tensor in ours.learning.items()}
    optimizer = ours.optimizer(0.1)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    ours.losses(ROWS).mean().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    change = ours.learning["h.0.attn.c_attn.weight"].detach() - before["h.0.attn.c_attn.weight"]
    for piece in change.chunk(3, dim=1):  # queries, keys and values, each by itself
        values = torch.linalg.svdvals(piece) / 4e-3
        assert values.median() == pytest.approx(0.9, abs=0.3)
    assert not torch.equal(ours.learning["wte.weight"], before["wte.weight"])
    assert set(optimizer.state[ours.learning["h.0.mlp.c_fc.weight"]]) == {"exp_avg"}
    assert "exp_avg_sq" in optimizer.state[ours.learning["wte.weight"]]


def test_the_state_of_a_brief_run_is_restored(tmp_path: Path) -> None:
    ours, other = brief(0), brief(1)
    optimizer = ours.optimizer(0.1)
    ours.losses(ROWS).mean().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    saved_state.save(tmp_path, ours, optimizer, RunPosition(1, 1.5, 5))
    restored = other.optimizer(0.1)
    assert saved_state.load(tmp_path, other, restored).step == 1
    for name, tensor in ours.learning.items():
        theirs = other.learning[name]
        assert torch.equal(tensor, theirs)
        for moment in optimizer.moments_of(tensor):
            assert torch.equal(optimizer.state[tensor][moment], restored.state[theirs][moment])


def test_a_wide_brief_model_is_initialised_as_gpt2() -> None:
    config = config_of(recipe(width=256), 300)
    usual, ours = (Network(config, 0, "cpu", is_brief=is_brief) for is_brief in (False, True))
    name = "h.0.mlp.c_fc.weight"
    assert torch.equal(usual.learning[name], ours.learning[name])
