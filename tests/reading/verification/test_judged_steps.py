"""Which steps of which family `attn verify` compares: this list may only grow."""

from pathlib import Path

import pytest

from attn_cli.models.native.families import native_families
from attn_cli.reading.verification.verify import verify_readings
from attn_cli.vocabulary import Check, DType
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.readings import reading_of
from tests.support.twins import RECIPES, TEXTS

pytestmark = pytest.mark.slow  # a twin of each family beside transformers

TWINS = {**RECIPES, **FAMILIES, **TRANSLATORS}
EVERY_STEP = frozenset(
    {
        *("input", "queries", "keys", "kv_heads", "values", "scores", "mask", "logits", "weights", "context"),
        *("head_outputs", "output"),
    }
)
JUDGED = {
    "albert": EVERY_STEP,
    "bart": EVERY_STEP,
    "bert": EVERY_STEP,
    "bloom": EVERY_STEP,
    "camembert": EVERY_STEP,
    "deberta_v2": EVERY_STEP,
    "distilbert": EVERY_STEP,
    "electra": EVERY_STEP,
    "gemma": EVERY_STEP,
    "gemma2": EVERY_STEP,
    "gemma3_text": EVERY_STEP,
    "gpt2": EVERY_STEP,
    "gpt_neo": EVERY_STEP,
    "gpt_neox": EVERY_STEP,
    "gptj": EVERY_STEP,
    "granite": EVERY_STEP,
    "llama": EVERY_STEP,
    "marian": EVERY_STEP,
    "mistral": EVERY_STEP,
    "modernbert": EVERY_STEP,
    "mpnet": EVERY_STEP,
    "olmo2": EVERY_STEP,
    "opt": EVERY_STEP,
    "phi": EVERY_STEP,
    "phi3": EVERY_STEP,
    "qwen2": EVERY_STEP,
    "qwen3": EVERY_STEP,
    "roberta": EVERY_STEP,
    "smollm3": EVERY_STEP,
    "t5": EVERY_STEP,
    "xlm_roberta": EVERY_STEP,
}


def test_every_native_family_is_listed() -> None:
    assert set(JUDGED) == set(native_families())
    assert frozenset(check.value for check in Check) == EVERY_STEP


@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT64, DType.BFLOAT16])
@pytest.mark.parametrize("name", TWINS)
def test_every_step_of_every_layer_and_kind_is_compared_and_agrees(
    name: str, dtype: DType, tmp_path: Path
) -> None:
    TWINS[name].save(tmp_path)
    readings = [reading_of(text, str(tmp_path), dtype=dtype) for text in TEXTS]
    verdict = verify_readings(readings)
    assert verdict.failure is None
    assert verdict.untokenized == ""
    family = TWINS[name].config.model_type.replace("-", "_")
    kinds = readings[0].source.kinds
    assert [(each.kind, each.layer) for each in verdict.layers] == [
        (kind, layer) for kind, extent in kinds.items() for layer in extent.layers
    ]
    for layer in verdict.layers:
        assert {check.value for check in layer.steps} >= JUDGED[family]
