"""Weights saved from a wrapped model: the prefix is removed, with a remark, and nothing is mixed up."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from attn_cli.errors import AttnError
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Source
from tests.support.every_type import save_twin
from tests.support.reference import NUMPY, every_weight_of
from tests.support.twins import TEXTS, Save
from tests.support.worlds import attn

Tensors = Mapping[str, torch.Tensor]


def behind(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {prefix + name: tensor.clone() for name, tensor in tensors.items()}


def beside_a_head(tensors: Tensors) -> Tensors:
    """As `self.encoder = BertModel(...)` and `self.classifier = Linear(...)` of one's own module."""
    bare = {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}
    return dict(behind("encoder.")(bare)) | {"classifier.weight": torch.zeros(2, 32)}


WRAPPERS: dict[str, Callable[[Tensors], Tensors]] = {
    prefix: behind(prefix)
    for prefix in ("_orig_mod.", "module.", "base_model.model.", "_orig_mod.module.", "transformer_of_mine.")
} | {"encoder.": beside_a_head}


def rewritten(directory: Path, change: Callable[[Tensors], Tensors]) -> None:
    file = directory / "model.safetensors"
    tensors = load_file(file)
    save_file(dict(change(tensors)), file, metadata={"format": "pt"})


def source(directory: Path) -> Source:
    return open_checkpoint("twin", directory, NUMPY)


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("name", ["llama", "bert, masked words", "gpt2"])
def test_the_prefix_of_a_wrapper_is_removed(name: str, wrapper: str, save: Save) -> None:
    directory = save(name)
    plain = every_weight_of(source(directory), TEXTS[0])
    rewritten(directory, WRAPPERS[wrapper])
    found = source(directory)
    for ours, expected in zip(every_weight_of(found, TEXTS[0]), plain, strict=True):
        np.testing.assert_array_equal(ours, expected)
    (remark,) = found.remarks
    assert remark.startswith(f"the names of the weights begin with '{wrapper}")


def test_a_dict_in_a_pickle_is_looked_into(save: Save) -> None:
    directory = save("llama")
    plain = every_weight_of(source(directory), TEXTS[0])
    file = directory / "model.safetensors"
    nested: dict[str, Any] = {"epoch": 3, "model_state_dict": load_file(file), "optimizer": {"lr": 0.1}}
    file.unlink()
    torch.save(nested, directory / "pytorch_model.bin")
    for ours, expected in zip(every_weight_of(source(directory), TEXTS[0]), plain, strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("name", ["llama", "bert, masked words", "gpt2"])
def test_the_judge_runs_the_weights_without_the_wrapper(name: str, wrapper: str, save: Save) -> None:
    directory = save(name)
    rewritten(directory, WRAPPERS[wrapper])
    answer = attn("verify", "the cat sat", "-m", directory, "--json")
    assert answer.status == 0, answer.err
    assert answer.document["passed"]
    assert all(layer["output"] is not None for layer in answer.document["layers"])


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.transformer."])
def test_transformers_runs_the_weights_without_the_wrapper(wrapper: str, tmp_path: Path) -> None:
    save_twin("cohere", tmp_path)
    plain = every_weight_of(source(tmp_path), TEXTS[0])
    rewritten(tmp_path, behind(wrapper))
    found = source(tmp_path)
    assert found.engine == "transformers"
    for ours, expected in zip(every_weight_of(found, TEXTS[0]), plain, strict=True):
        np.testing.assert_array_equal(ours, expected)
    (remark,) = found.remarks
    assert remark == f"the names of the weights begin with '{wrapper}', which was removed: a wrapper added it"
    assert attn("verify", "the cat sat", "-m", tmp_path).status == 0


def test_the_judge_looks_into_a_dict_in_a_pickle(save: Save) -> None:
    directory = save("llama")
    file = directory / "model.safetensors"
    torch.save({"epoch": 3, "model_state_dict": load_file(file)}, directory / "pytorch_model.bin")
    file.unlink()
    assert attn("verify", "the cat sat", "-m", directory).status == 0


def test_the_remark_is_on_standard_error(save: Save) -> None:
    directory = save("llama")
    rewritten(directory, behind("_orig_mod."))
    answer = attn("inspect", "the cat", "-m", directory, "--heads", "0.0", "-s", "weights")
    assert (
        answer.err
        == "the names of the weights begin with '_orig_mod.', which was removed: a wrapper added it\n"
    )
    assert attn("tokens", "the cat", "-m", directory).err == ""


def test_two_models_in_one_file_are_not_mixed(save: Save) -> None:
    directory = save("bert")
    rewritten(directory, lambda tensors: dict(behind("query.")(tensors)) | dict(behind("passage.")(tensors)))
    with pytest.raises(AttnError) as caught:
        source(directory).check()
    assert caught.value.problem == f"{directory} contains the weights of several models: passage., query."


def test_a_tensor_that_is_missing_is_not_taken_from_elsewhere(save: Save) -> None:
    directory = save("llama")
    name = "model.layers.2.self_attn.o_proj.weight"

    def moved(tensors: Tensors) -> Tensors:
        return {f"mtp.{key}" if key == name else key: tensor for key, tensor in tensors.items()}

    rewritten(directory, moved)
    with pytest.raises(AttnError, match=r"^the tensor layers.2.self_attn.o_proj.weight is missing"):
        source(directory).check()
