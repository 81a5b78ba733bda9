"""A configuration without a `model_type`, of another library, or of a model with pruned heads."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attn_cli.errors import AttnError
from attn_cli.models.open import open_checkpoint
from tests.support.every_type import save_twin
from tests.support.reference import NUMPY, every_weight_of
from tests.support.twins import TEXTS, Save
from tests.support.worlds import attn

LACKS = object()


def change(directory: Path, **values: Any) -> Path:
    config = directory / "config.json"
    changed = json.loads(config.read_text()) | values
    kept = {name: value for name, value in changed.items() if value is not LACKS}
    config.write_text(json.dumps(kept))
    return directory


@pytest.mark.parametrize(
    ("twin", "kind", "name"),
    [
        ("bert, masked words", "bert", "BertForMaskedLM"),
        ("gpt2", "gpt2", "GPT2Model"),
        ("llama", "llama", "LlamaForCausalLM"),
        ("bert", "bert", "TFBertModel"),
        ("cohere", "cohere", "CohereModel"),
    ],
)
def test_a_missing_type_is_that_of_the_class(twin: str, kind: str, name: str, save: Save) -> None:
    directory = save(twin)
    plain = every_weight_of(open_checkpoint("twin", directory, NUMPY), TEXTS[0])
    change(directory, model_type=LACKS, architectures=[name])
    found = open_checkpoint("twin", directory, NUMPY)
    remark = f"config.json has no model_type: the model is read as {kind}, because its class is {name}"
    assert found.remarks[0] == remark
    assert found.card.type == kind
    for ours, expected in zip(every_weight_of(found, TEXTS[0]), plain, strict=True):
        np.testing.assert_array_equal(ours, expected)
    answer = attn("verify", "the cat sat", "-m", directory)
    assert (answer.status, "the token ids are not compared" in answer.err) == (0, False)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (LACKS, "none"),
        ([], "none"),
        ("BertModel", "none"),
        (["MyModel"], "MyModel"),
        (["__version__", 3, "set_seed", "AutoModel"], "__version__, 3, set_seed, AutoModel"),
    ],
)
def test_a_type_that_cannot_be_known_is_asked_for(classes: Any, said: str, save: Save) -> None:
    directory = change(save("bert"), model_type=LACKS, architectures=classes)
    with pytest.raises(AttnError) as caught:
        open_checkpoint("twin", directory, NUMPY)
    place = f"{directory}/config.json"
    assert (
        caught.value.problem
        == f"{place} has no model_type, and its architectures name no class of transformers: {said}"
    )
    assert caught.value.hint == 'write the type into the file, for example "model_type": "bert"'


LIBRARIES = {
    "_class_name": "diffusers",
    "pretrained_cfg": "timm, for images",
    "model_cfg": "open_clip",
    "n_layers": "the original code of the model",
    "word_embedding_dimension": "sentence-transformers",
}


@pytest.mark.parametrize("key", LIBRARIES)
def test_a_configuration_of_another_library_is_named(key: str, save: Save) -> None:
    directory = change(save("bert"), model_type=LACKS, **{key: "x"})
    with pytest.raises(AttnError) as caught:
        open_checkpoint("twin", directory, NUMPY)
    assert (
        caught.value.problem
        == f"{directory}/config.json is not a configuration of transformers but of {LIBRARIES[key]}"
    )


@pytest.mark.parametrize("twin", ["bert", "cohere"])
def test_pruned_heads_are_refused(twin: str, save: Save) -> None:
    directory = save(twin)
    change(directory, pruned_heads={"0": [], "1": [0, 3]})
    with pytest.raises(AttnError) as caught:
        open_checkpoint("twin", directory, NUMPY)
    says = f"{directory}/config.json says that heads were pruned (layer 1: 0, 3)"
    assert caught.value.problem == f"{says}: its layers have different numbers of heads"


@pytest.mark.parametrize("nothing", [{}, {"0": []}, None])
def test_no_pruned_heads_are_no_hindrance(nothing: Any, save: Save) -> None:
    found = open_checkpoint("twin", change(save("bert"), pruned_heads=nothing), NUMPY)
    found.check()
    assert found.remarks == ()


def test_a_layer_that_the_file_lacks_is_named_before_any_runs(tmp_path: Path) -> None:
    save_twin("cohere", tmp_path)
    change(tmp_path, num_hidden_layers=9, layer_types=LACKS)
    with pytest.raises(AttnError) as caught:
        open_checkpoint("twin", tmp_path, NUMPY).check()
    assert caught.value.problem == f"layer layers.8 is missing from {tmp_path}"
