"""Language models inside models that read images or sound: the text alone, in our own code."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import transformers

from attn_cli.models.files.config import Config
from attn_cli.models.native.families import native_spec
from attn_cli.models.native.towers import DEFAULTS, TOWERS
from tests.support.every_type import CLOSE, save_twin, verdict_of
from tests.support.worlds import attn

TEXT = "the cat sat on the mat"


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @cache
    def directory(kind: str) -> Path:
        found = tmp_path_factory.mktemp(kind)
        save_twin(kind, found)
        return found

    return directory


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(set(TOWERS) & set(transformers.CONFIG_MAPPING)))
def test_the_text_of_a_composite_model_agrees_with_eager(kind: str) -> None:
    verdict = verdict_of(kind)
    assert (verdict.served, verdict.compared) == ("native", 3)
    assert verdict.apart <= CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gemma3", "idefics3", "llava"])
def test_the_weights_and_the_output_of_a_tower_are_verified(kind: str, saved: Callable[[str], Path]) -> None:
    found = attn("verify", TEXT, "-m", saved(kind), "--json").document
    assert (found["engine"], found["passed"]) == ("native", True)
    assert all(each["output"] is not None for each in found["layers"])


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["language_model.", "language_model.model.", "model.language_model."])
def test_a_tower_is_found_behind_the_prefixes_of_all_versions(
    prefix: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    tensors = safetensors.torch.load_file(saved("llava") / "model.safetensors")
    renamed = {name.replace("language_model.model.", prefix): tensor for name, tensor in tensors.items()}
    assert any(name.startswith(prefix + "layers.0.") for name in renamed)
    safetensors.torch.save_file(renamed, tmp_path / "model.safetensors")
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((saved("llava") / name).read_bytes())
    line = ("--heads", "2.1", "-s", "weights", "--json")
    one, other = (attn("inspect", TEXT, "-m", each, *line) for each in (saved("llava"), tmp_path))
    assert one.document["attention"] == other.document["attention"]
    assert "which was removed" not in other.err


@pytest.mark.slow
def test_a_prompt_of_paligemma_sees_itself(saved: Callable[[str], Path]) -> None:
    line = ("--heads", "0.0", "-s", "weights", "--json")
    found = attn("inspect", TEXT, "-m", saved("paligemma"), *line).document
    assert found["engine"] == "transformers"


def test_the_documentation_names_every_tower() -> None:
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text("utf-8")
    (line,) = re.findall(r"^- text alone, in models .*?:((?:\s+`\w+`)+)", page, re.MULTILINE)
    assert line.replace("`", "").split() == sorted(TOWERS)


@pytest.mark.parametrize("kind", DEFAULTS)
def test_what_a_file_may_omit_is_what_transformers_sets(kind: str) -> None:
    config = transformers.AutoConfig.for_model(kind)
    assert dict(DEFAULTS[kind]) == {name: getattr(config, name) for name in DEFAULTS[kind]}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("llava", {"model_type": "llama", "max_position_embeddings": 4096, "rms_norm_eps": 1e-5}),
        ("mistral3", {"model_type": "mistral", "hidden_size": 5120, "head_dim": 128, "sliding_window": None}),
        ("gemma3", {"model_type": "gemma3_text", "hidden_size": 2560, "num_hidden_layers": 34}),
    ],
)
def test_a_text_config_without_the_usual_values_is_native(kind: str, text: dict[str, Any]) -> None:
    spec = native_spec(Config({"model_type": kind, "text_config": text}, Path("config.json")))
    assert spec is not None
    whole = transformers.AutoConfig.for_model(**text)
    assert (spec.layers, spec.heads, spec.kv_heads, spec.head_size, spec.width) == (
        *(whole.num_hidden_layers, whole.num_attention_heads, whole.num_key_value_heads),
        *(whole.head_dim, whole.hidden_size),
    )
    assert (spec.epsilon, spec.vocabulary) == (whole.rms_norm_eps, whole.vocab_size)


@pytest.mark.parametrize(
    "text", [None, {"model_type": "phi4"}, {"hidden_size": 32}, {"model_type": "qwen2", "hidden_size": 32}]
)
def test_a_text_model_that_is_not_native_is_left_to_transformers(text: dict[str, object] | None) -> None:
    config = Config({"model_type": "llava", "text_config": text}, Path("config.json"))
    assert native_spec(config) is None
