"""From a config to a spec: families, their defaults, and implausible configs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attn_cli.errors import AttnError
from attn_cli.models.files.config import NotNativeError, read_config
from attn_cli.models.native.families import native_families, read_spec
from attn_cli.models.native.spec import Spec
from tests.support.twins import bert, gpt2, llama

REPAIR = "download the model again, or repair the file"
TWINS = {"bert": bert, "gpt2": gpt2, "llama": llama}
SMALLEST: dict[str, dict[str, Any]] = {
    "bert": {
        "hidden_size": 12,
        "num_attention_heads": 3,
        "num_hidden_layers": 2,
        "vocab_size": 50,
        "max_position_embeddings": 20,
        "intermediate_size": 7,
    },
    "gpt2": {"n_embd": 12, "n_head": 3, "n_layer": 2, "vocab_size": 50},
    "llama": {
        "hidden_size": 12,
        "num_attention_heads": 3,
        "num_hidden_layers": 2,
        "vocab_size": 50,
        "intermediate_size": 7,
    },
}


def spec_of(directory: Path, kind: str, changed: Mapping[str, object] | None = None, **how: Any) -> Spec:
    """The spec of the family's smallest config, with changes."""
    values = {"model_type": kind} | SMALLEST[kind] | dict(changed or {})
    (directory / "config.json").write_text(json.dumps(values))
    return read_spec(read_config(directory), **how)


def refused(directory: Path, values: object, problem: str, hint: str = REPAIR) -> None:
    (directory / "config.json").write_text(json.dumps(values))
    with pytest.raises(AttnError) as caught:
        read_spec(read_config(directory))
    assert (caught.value.problem, caught.value.hint) == (problem.format(file=directory / "config.json"), hint)


@pytest.mark.parametrize("kind", TWINS)
def test_a_config_as_transformers_writes_it_is_read(kind: str, tmp_path: Path) -> None:
    config = TWINS[kind]()
    config.save_pretrained(tmp_path)
    spec = read_spec(read_config(tmp_path))
    assert (spec.type, spec.layers, spec.heads, spec.width) == (kind, 3, 4, 32)
    assert spec.vocabulary == config.vocab_size
    assert spec.longest == config.max_position_embeddings
    assert spec.head_size == 8
    assert spec.kv_heads == (2 if kind == "llama" else 4)


def drawn(spec: Spec) -> list[str]:
    """The mask over three tokens, as a picture."""
    places = np.arange(3)
    return [
        "".join("x" if seen else "." for seen in row)
        for row in spec.mask(0)(places[:, None], places[None, :])
    ]


def test_what_an_old_bert_leaves_out_is_what_transformers_assumes(tmp_path: Path) -> None:
    spec, theirs = spec_of(tmp_path, "bert"), bert()
    assert (spec.epsilon, spec.segments) == (theirs.layer_norm_eps, theirs.type_vocab_size)
    assert spec.feed_forward.activation == theirs.hidden_act
    assert not spec.is_causal
    assert drawn(spec) == ["xxx", "xxx", "xxx"]


def test_what_an_old_gpt2_leaves_out_is_what_transformers_assumes(tmp_path: Path) -> None:
    spec, theirs = spec_of(tmp_path, "gpt2"), gpt2()
    assert spec.epsilon == theirs.layer_norm_epsilon
    assert spec.feed_forward.activation == theirs.activation_function
    assert (spec.feed_forward.size, spec.longest, spec.scale(1)) == (48, 1024, 0.5)  # 4 × 12; 1/√4
    assert drawn(spec) == ["x..", "xx.", "xxx"]


def test_what_an_old_llama_leaves_out_is_what_transformers_assumes(tmp_path: Path) -> None:
    spec, theirs = spec_of(tmp_path, "llama"), llama()
    assert (spec.epsilon, spec.feed_forward.activation) == (theirs.rms_norm_eps, theirs.hidden_act)
    assert (spec.kv_heads, spec.head_size, spec.longest, spec.scale(0)) == (3, 4, 2048, None)
    assert spec.projections.query is not None
    assert not spec.projections.query.has_bias
    assert drawn(spec) == ["x..", "xx.", "xxx"]


def test_gpt2_may_use_the_common_names(tmp_path: Path) -> None:
    names: dict[str, object] = {"n_embd": None, "n_head": None, "n_layer": None}
    others = {"hidden_size": 20, "num_attention_heads": 5, "num_hidden_layers": 3}
    spec = spec_of(tmp_path, "gpt2", names | others)
    assert (spec.width, spec.heads, spec.layers) == (20, 5, 3)


@pytest.mark.parametrize("kind", SMALLEST)
@pytest.mark.parametrize("is_causal", [True, False])
def test_the_mask_can_be_overruled(kind: str, is_causal: bool, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, kind, is_causal=is_causal)
    assert spec.is_causal == is_causal
    assert drawn(spec) == (["x..", "xx.", "xxx"] if is_causal else ["xxx"] * 3)


def test_a_config_without_a_type_says_so(tmp_path: Path) -> None:
    refused(tmp_path, {}, "{file} has no model_type")
    refused(tmp_path, {"model_type": None}, "{file} has no model_type")
    refused(tmp_path, {"model_type": 3}, "{file} says model_type is 3, which is not a string")


HOSTILE = [
    "mamba",
    "",
    "os",
    "../evil",
    "bert.py",
    "bert/../gpt2",
    "BERT",
    "__init__",
    "config",
    "bert\n",
    "bért",
]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_type_without_a_module_is_unknown(kind: str, tmp_path: Path) -> None:
    problem = f"unknown model type '{kind}': {{file}}"
    refused(tmp_path, {"model_type": kind}, problem, f"use a model of type {', '.join(native_families())}")


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in SMALLEST for name in SMALLEST[kind]])
@pytest.mark.parametrize("value", [None, "12", 1.5, True, -1, 0, [1]])
def test_a_size_that_is_not_a_count_is_named(kind: str, name: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(AttnError) as caught:
        spec_of(tmp_path, kind, {name: value})
    general = {"n_embd": "hidden_size", "n_head": "num_attention_heads", "n_layer": "num_hidden_layers"}
    said = (
        f"has no {general.get(name, name)}"
        if value is None
        else f"says {name} is {json.dumps(value)}, which is not"
    )
    assert caught.value.problem.startswith(f"{tmp_path}/config.json {said}")
    assert caught.value.hint == REPAIR


@pytest.mark.parametrize(
    ("kind", "changed", "problem"),
    [
        (
            "bert",
            {"num_attention_heads": 5},
            "num_attention_heads is 5, which is not a divisor of hidden_size 12",
        ),
        ("gpt2", {"n_head": 5}, "n_head is 5, which is not a divisor of n_embd 12"),
        (
            "gpt2",
            {"n_head": None, "num_attention_heads": 5},
            "num_attention_heads is 5, which is not a divisor of n_embd 12",
        ),
        (
            "llama",
            {"num_key_value_heads": 2},
            "num_key_value_heads is 2, which is not a divisor of num_attention_heads 3",
        ),
        ("bert", {"type_vocab_size": 0}, "type_vocab_size is 0, which is not 1 or more"),
        ("bert", {"is_decoder": "yes"}, 'is_decoder is "yes", which is not true or false'),
        ("bert", {"layer_norm_eps": "1e-12"}, 'layer_norm_eps is "1e-12", which is not a number'),
        ("bert", {"hidden_act": {"name": "gelu"}}, 'hidden_act is {"name": "gelu"}, which is not a string'),
        ("gpt2", {"n_inner": 0}, "n_inner is 0, which is not 1 or more"),
        ("llama", {"head_dim": 0}, "head_dim is 0, which is not 1 or more"),
        ("llama", {"attention_bias": 0}, "attention_bias is 0, which is not true or false"),
    ],
)
def test_an_impossible_value_is_named(
    kind: str, changed: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    values = {"model_type": kind} | SMALLEST[kind] | changed
    refused(tmp_path, values, f"{{file}} says {problem}".replace('{"', '{{"').replace('"}', '"}}'))


VARIANTS = [
    ("bert", {"position_embedding_type": "relative_key"}),
    ("bert", {"position_embedding_type": "alibi"}),
    *(("bert", {"hidden_act": name}) for name in ("relu2", "mish", "gelu_10", "laplace")),
    ("gpt2", {"activation_function": "relu2"}),
    ("llama", {"hidden_act": "mish"}),
]


@pytest.mark.parametrize(("kind", "changed"), VARIANTS)
def test_a_variant_that_is_not_written_out_goes_to_the_bridge(
    kind: str, changed: dict[str, Any], tmp_path: Path
) -> None:
    values = {"model_type": kind} | SMALLEST[kind] | changed
    file = tmp_path / "config.json"
    file.write_text(json.dumps(values))
    with pytest.raises(NotNativeError):
        read_spec(read_config(tmp_path))


@pytest.mark.parametrize("kind", SMALLEST)
def test_more_layers_than_any_model_has_are_refused(kind: str, tmp_path: Path) -> None:
    name = "n_layer" if kind == "gpt2" else "num_hidden_layers"
    assert spec_of(tmp_path, kind, {name: 10_000}).layers == 10_000
    with pytest.raises(AttnError, match=rf"says {name} is 10001, which is not 10,000 or fewer"):
        spec_of(tmp_path, kind, {name: 10_001})
