"""The steps in `--json`, checked against each other and against Hugging Face."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModel

from attn_cli.vocabulary import Step
from tests.support.families import FAMILIES
from tests.support.worlds import attn

Numbers = npt.NDArray[np.float64]

TEXT = "The animal didn't cross the street because it was too tired."
EXACT = 1e-5  # the contract's; float32 numbers of size 1 to 10 in sums of 32
EVERY = [argument for step in Step for argument in ("-s", step.value)]

OUTPUTS = {
    "bert": "encoder.layer.{}.attention.output.dense",
    "gpt2": "h.{}.attn.c_proj",
    "llama": "layers.{}.self_attn.o_proj",
}


@pytest.fixture(scope="module")
def document(twin: Path) -> dict[str, Any]:
    """Every step of every head."""
    return attn("inspect", TEXT, "-m", twin, "-l", "all", *EVERY, "--json").document


@pytest.fixture(scope="module")
def heads(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry | steps(entry) for entry in document["attention"]]


def steps(entry: dict[str, Any]) -> dict[str, Numbers]:
    """The matrices of a head; NaN where the JSON has null."""
    return {step: np.array(rows, dtype=float) for step, rows in entry["steps"].items()}


def softmax(logits: Numbers) -> Numbers:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)


def test_every_head_of_every_layer_has_every_step(heads: list[dict[str, Any]]) -> None:
    assert [(head["layer"], head["head"]) for head in heads] == [(i, j) for i in range(3) for j in range(4)]
    assert {tuple(head["steps"]) for head in heads} == {tuple(step for step in Step if step != "bias")}


def test_attention_here_is_peaked(heads: list[dict[str, Any]]) -> None:
    assert np.mean([head["weights"].max(axis=-1).mean() for head in heads]) > 0.5


def test_queries_times_keys_times_the_scale_are_the_scores(heads: list[dict[str, Any]]) -> None:
    for head in heads:
        assert head["scale"] == pytest.approx(head["queries"].shape[1] ** -0.5, rel=1e-6)
        close(head["scores"], head["queries"] @ head["keys"].T * head["scale"])


def test_the_mask_hides_scores_and_nothing_else(heads: list[dict[str, Any]], twin: Path) -> None:
    for head in heads:
        mask = head["mask"] == 1
        length = len(mask)
        expected = np.ones((length, length)) if twin.name == "bert" else np.tri(length)
        np.testing.assert_array_equal(mask, expected)
        np.testing.assert_array_equal(np.isnan(head["logits"]), ~mask)
        close(head["logits"][mask], head["scores"][mask])


def test_the_softmax_of_the_logits_is_the_weights(heads: list[dict[str, Any]]) -> None:
    for head in heads:
        logits = np.where(np.isnan(head["logits"]), -np.inf, head["logits"])
        close(head["weights"], softmax(logits))
        close(head["weights"].sum(axis=-1), 1)


def test_weights_times_values_are_the_context(heads: list[dict[str, Any]]) -> None:
    for head in heads:
        close(head["context"], head["weights"] @ head["values"])


def test_heads_of_a_group_share_their_keys(heads: list[dict[str, Any]], document: dict[str, Any]) -> None:
    group = document["model"]["heads"] // document["model"]["kv_heads"]
    shared: dict[tuple[int, int], Numbers] = {}
    for head in heads:
        assert head["kv_head"] == head["head"] // group
        first = shared.setdefault((head["layer"], head["kv_head"]), head["keys"])
        np.testing.assert_array_equal(head["keys"], first)


def test_the_outputs_of_the_heads_and_the_bias_are_what_hugging_face_computes(
    document: dict[str, Any], heads: list[dict[str, Any]], twin: Path
) -> None:
    saved = load_file(twin / "model.safetensors")
    theirs = outputs(twin, [token["id"] for token in document["tokens"]])
    for layer, expected in enumerate(theirs):
        name = OUTPUTS[twin.name].format(layer) + ".bias"
        bias = next((tensor for key, tensor in saved.items() if key.endswith(name)), 0.0)
        close(sum(head["output"] for head in heads if head["layer"] == layer) + bias, expected)


def outputs(twin: Path, ids: list[int]) -> list[Numbers]:
    """(T, M) for each layer, the output of W^O in Hugging Face's model."""
    model = AutoModel.from_pretrained(twin, attn_implementation="eager", dtype=torch.float32).eval()
    found: list[Numbers] = []
    for layer in range(3):
        module = model.get_submodule(OUTPUTS[twin.name].format(layer))
        module.register_forward_hook(
            lambda _module, _inputs, result: found.append(result[0].double().numpy())
        )
    with torch.no_grad():
        model(input_ids=torch.tensor([ids]))
    return found


def test_queries_of_opt_are_before_the_scale(tmp_path: Path) -> None:
    """transformers multiplies OPT's queries by the scale before the dot product; ours are not."""
    FAMILIES["opt"].save(tmp_path)
    found = attn("inspect", TEXT, "-m", tmp_path, "-l", "0", *EVERY, "--json").document
    model = AutoModel.from_pretrained(tmp_path).eval()
    kept: list[torch.Tensor] = []
    projection = model.decoder.layers[0].self_attn.q_proj
    projection.register_forward_hook(lambda *call: kept.append(call[2][0]))
    with torch.no_grad():
        model(torch.tensor([[token["id"] for token in found["tokens"]]]))
    entries = found["attention"]
    theirs = kept[0].numpy().reshape(len(found["tokens"]), len(entries), -1)
    for head, entry in enumerate(entries):
        numbers = steps(entry)
        assert entry["scale"] == pytest.approx(theirs.shape[-1] ** -0.5)
        np.testing.assert_allclose(numbers["queries"], theirs[:, head], atol=EXACT)
        scores = numbers["queries"] @ numbers["keys"].T * entry["scale"]
        np.testing.assert_allclose(numbers["scores"], scores, atol=EXACT)
