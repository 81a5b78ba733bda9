"""The judge watches transformers' operations: every way to write attention gives the same steps."""

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from attn_cli.models import bridge
from attn_cli.models.bridge import captured_layer
from attn_cli.models.bridge.exact_numbers import exact_constants, exact_numbers
from attn_cli.models.bridge.judge import OperationWatch, WatchedAttention
from attn_cli.vocabulary import Check
from tests.support.families import decoder
from tests.support.twins import Recipe
from tests.support.worlds import attn

TEXT = "the cat sat on the mat"
T, S, H, D = 5, 5, 2, 4
HIDDEN = torch.full((T, S), -3.4e38).triu(1)
BIAS = torch.arange(S, dtype=torch.float32) * torch.tensor([0.5, 0.25])[:, None, None]  # (H, 1, S)

Write = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def drawn() -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(1, H, T, D, generator=draw) for _ in range(3)]


def as_bert(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    logits = torch.matmul(q, k.transpose(-1, -2)) * 0.5 + HIDDEN
    return torch.matmul(torch.softmax(logits, dim=-1), v)


def as_opt(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    logits = torch.bmm((q * 0.5).reshape(H, T, D), k.reshape(H, S, D).transpose(1, 2)) + HIDDEN
    return torch.bmm(torch.softmax(logits, dim=-1), v.reshape(H, S, D))


def as_deberta(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    scores = torch.bmm(q[0], k[0].transpose(-1, -2) / torch.tensor(2.0))
    hidden = HIDDEN.bool()
    return torch.bmm(torch.softmax(scores.masked_fill(hidden, -3.4e38), dim=-1), v[0])


def in_place(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    logits = torch.matmul(q, k.mT)
    logits *= 0.5
    logits += HIDDEN
    return torch.matmul(torch.softmax(logits.float(), dim=-1).type_as(v), v)


def with_minus_10000(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    logits = torch.matmul(q, k.mT) / 2 + (-10000.0) * HIDDEN.bool()
    return torch.matmul(torch.softmax(logits, dim=-1), v)


def watched(write: Write, rows: Any = None) -> WatchedAttention:
    watch = OperationWatch([(T, S)], lambda _: rows)
    with torch.no_grad(), watch:
        write(*drawn())
    (found,) = watch.records
    return found


@pytest.mark.parametrize("write", [as_bert, as_opt, as_deberta, in_place, with_minus_10000])
def test_every_way_to_write_attention_gives_the_same_steps(write: Write) -> None:
    found = watched(write)
    q, k, v = (each[0] for each in drawn())
    scores = q @ k.mT * 0.5
    weights = (scores + HIDDEN).softmax(dim=-1)
    for check, expected in {
        Check.QUERIES: q,
        Check.KEYS: k,
        Check.VALUES: v,
        Check.SCORES: scores,
        Check.WEIGHTS: weights,
        Check.CONTEXT: weights @ v,
    }.items():
        np.testing.assert_allclose(found.steps[check], expected.numpy(), atol=1e-6, err_msg=check)
    assert (found.steps[Check.MASK] == np.tril(np.ones((T, S), bool))).all()
    assert found.unknown == {}


def test_a_bias_added_to_the_product_is_none_of_the_scores() -> None:
    def as_bloom(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        logits = BIAS.expand(H, T, S).baddbmm(q[0], k[0].mT, beta=1.0, alpha=0.5)
        return torch.bmm(torch.softmax(logits, dim=-1), v[0])

    found = watched(as_bloom)
    added = found.steps[Check.LOGITS] - found.steps[Check.SCORES]
    np.testing.assert_allclose(added, BIAS.expand(H, T, S).numpy(), atol=1e-6)


def test_a_soft_cap_is_no_part_of_the_scale() -> None:
    def capped(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        logits = torch.tanh(torch.matmul(q, k.mT) * 0.5 / 3.0) * 3.0
        return torch.matmul(torch.softmax(logits, dim=-1), v)

    found = watched(capped)
    expected = 3 * np.tanh(found.steps[Check.SCORES] / 3)
    np.testing.assert_allclose(found.steps[Check.LOGITS], expected, atol=1e-6)


def test_a_sink_beside_the_keys_is_no_key() -> None:
    def with_sink(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        logits = torch.cat([torch.matmul(q, k.mT) * 0.5 + HIDDEN, torch.ones(1, H, T, 1)], dim=-1)
        weights = torch.softmax(logits - logits.max(dim=-1, keepdim=True).values, dim=-1)
        return torch.matmul(weights[..., :-1], v)

    found, plain = watched(with_sink), watched(as_bert)
    np.testing.assert_array_equal(found.steps[Check.LOGITS], plain.steps[Check.LOGITS])
    assert (found.steps[Check.WEIGHTS].sum(axis=-1) < 1).all()
    assert found.unknown == {}


def test_a_sum_of_two_products_has_no_scores() -> None:
    def as_xlnet(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        logits = torch.matmul(q, k.mT) + torch.matmul(q, v.mT)
        return torch.matmul(torch.softmax(logits, dim=-1), v)

    found = watched(as_xlnet)
    assert set(found.unknown) == {Check.QUERIES, Check.KEYS, Check.KV_HEADS, Check.SCORES}
    assert Check.CONTEXT in found.steps


def test_only_the_wanted_rows_are_kept() -> None:
    found, whole = watched(as_bert, rows=(1, 4)), watched(as_bert)
    for check in (Check.QUERIES, Check.SCORES, Check.WEIGHTS, Check.CONTEXT):
        np.testing.assert_array_equal(found.steps[check], whole.steps[check][:, [1, 4]])
    assert found.steps[Check.KEYS].shape == (H, S, D)


def test_in_float64_nothing_is_rounded_to_float32() -> None:
    third = torch.tensor(1 / 3, dtype=torch.float64)
    with exact_numbers(is_wanted=True):
        assert third.float().item() == 1 / 3
        assert torch.tensor(1 / 3, dtype=torch.float32).item() == 1 / 3
        assert torch.arange(3, dtype=torch.float32).dtype == torch.float64
        assert torch.tensor(1 / 3).item() == torch.full((), 1 / 3).item() == 1 / 3
        assert torch.full((), fill_value=1 / 3, dtype=torch.float32).item() == 1 / 3
        assert (torch.tensor(1).dtype, torch.full((2,), 1).dtype) == (torch.int64, torch.int64)
    with exact_numbers(is_wanted=False), exact_constants(is_wanted=False):
        assert third.float().item() != 1 / 3


# What a family's judge cannot give is named, and nothing else.
@pytest.mark.parametrize(
    ("model", "config", "unknown"),
    [
        ("Starcoder2Model", decoder("Starcoder2Config"), {"input"}),
        (
            "GptOssModel",
            decoder("GptOssConfig", head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=8),
            {"input"},
        ),
        (
            "FalconModel",
            decoder("FalconConfig", alibi=True, new_decoder_architecture=False),
            {
                *("input", "queries", "keys", "values", "scores", "context", "head_outputs", "output"),
            },
        ),
    ],
)
def test_the_bridge_is_compared_in_every_step_that_both_have(
    model: str, config: Any, unknown: set[str], tmp_path: Path
) -> None:
    Recipe(model, config, 1.65).save(tmp_path)
    found = attn("verify", TEXT, "-m", tmp_path, "--json")
    assert found.status == 0
    for layer in found.document["layers"]:
        assert set(layer["unknown"]) == unknown
        assert all(layer["unknown"].values())
        assert {check.value for check in Check if layer[check.value] is None} == unknown
    assert found.err.count("not compared: ") == (1 if unknown == {"input"} else 2)
    table = attn("verify", TEXT, "-m", tmp_path, COLUMNS="120").out.splitlines()
    assert next(line.split()[1] for line in table if line.startswith("    0 ")) == "-"  # input


def test_values_that_the_bridge_confuses_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Recipe("Starcoder2Model", decoder("Starcoder2Config"), 1.65).save(tmp_path)
    operands = captured_layer._operands  # noqa: SLF001

    def swapped(*given: Any) -> Any:
        for one in operands(*given):
            yield replace(one, values=one.values.flip(0))

    monkeypatch.setattr(captured_layer, "_operands", swapped)
    found = attn("verify", TEXT, "-m", tmp_path, "-q")
    assert found.status == 3
    assert found.err.startswith("attn: the values of self layer 0 differ from eager attention by ")


def test_mixtures_of_experts_are_compared_in_float64(tmp_path: Path) -> None:
    config = transformers.MixtralConfig(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        num_local_experts=4,
    )
    Recipe("MixtralModel", config, 1.65).save(tmp_path)
    found = attn("verify", TEXT, "-m", tmp_path, "--dtype", "float64", "--json")
    assert (found.status, found.document["tolerance"]) == (0, 1e-10)


def test_the_judge_does_not_import_the_arithmetic_that_it_judges() -> None:
    (home,) = bridge.__path__
    for name in ("judge", "judged_modules", "exact_numbers", "reference", "reference_tokens"):
        tree = ast.parse((Path(home) / f"{name}.py").read_text("utf-8"))
        imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        forbidden = ("attn_cli.core.", "attn_cli.models.native", "attn_cli.models.tokens")
        of_ours = {module for module in imported if module.startswith(forbidden)}
        assert of_ours <= {
            "attn_cli.core.arrays",
            "attn_cli.models.tokens.chat.template",
        }  # a record of messages
