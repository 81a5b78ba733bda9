"""A logit split by what wrote it: the parts add up to it, and the keys of a head to the head."""

from collections.abc import Mapping

import numpy as np
import pytest

from attn_cli.answers.effects import HeadPlace
from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend, choose_backend, torch_backend
from attn_cli.models.native.effects.directions import Directions
from attn_cli.models.native.effects.text import NativeEffects
from attn_cli.models.native.residual import ResidualStream
from attn_cli.models.predictions import Looks, Parts
from attn_cli.vocabulary import DType
from tests.support.language_models import NEXT, TARGETED, HeadRecipe, texts_of
from tests.support.saved_twins import Saved, opened, saving
from tests.support.twins import TEXTS

pytestmark = pytest.mark.slow  # a twin of each family beside transformers

FURTHER = {
    "gpt2, padded": HeadRecipe("GPT2LMHeadModel", "gpt2", {"vocab_size": 331}),
    "qwen2, padded and tied": HeadRecipe(
        "Qwen2ForCausalLM", "qwen2", {"vocab_size": 331, "tie_word_embeddings": True}
    ),
    "llama, biases": HeadRecipe("LlamaForCausalLM", "llama, biases"),
    "llama, wide heads": HeadRecipe("LlamaForCausalLM", "llama, wide heads"),
    "llama, one key head": HeadRecipe("LlamaForCausalLM", "llama, one key head"),
    "gpt_neox, one after the other": HeadRecipe("GPTNeoXForCausalLM", "gpt_neox, one after the other"),
    "bloom, normed stream": HeadRecipe("BloomForCausalLM", "bloom, six heads"),
    "mistral, no window": HeadRecipe("MistralForCausalLM", "mistral, no window"),
    "qwen3, window": HeadRecipe("Qwen3ForCausalLM", "qwen3, window"),
    "phi3, a part turns": HeadRecipe("Phi3ForCausalLM", "phi3, a part turns"),
}
ALL = {**NEXT, **TARGETED, **FURTHER}
POST_NORM = {name for name in ALL if name.startswith(("bart", "marian"))} | {
    *("opt, norms behind, narrow", "bert, decoder", "bloom, normed stream")
}
ADDITIVE = [name for name in ALL if name not in POST_NORM]
FLOAT32, FLOAT64 = (choose_backend("cpu", each) for each in (DType.FLOAT32, DType.FLOAT64))
CLOSE = {DType.FLOAT32: 1e-4, DType.FLOAT64: 1e-9}  # the largest seen: 9e-6 and 1.4e-14, of logits up to 42
CLOSE_LOOKS = {DType.FLOAT32: 1e-5, DType.FLOAT64: 1e-12}  # the largest seen: 7e-7 and 4e-15
PEAKED = 0.4  # the mean largest weight of a row: flat rows would hide errors


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return saving(ALL, tmp_path_factory)


def heads_of(parts: Parts) -> Mapping[HeadPlace, float]:
    """What each head adds."""
    return {
        (each.kind, each.layer, each.head): float(effect)
        for each, effect in zip(parts.components, parts.effects, strict=True)
        if each.layer is not None and each.head is not None
    }


@pytest.mark.parametrize("name", ADDITIVE)
@pytest.mark.parametrize("backend", [FLOAT32, FLOAT64])
def test_the_parts_of_a_logit_add_up_to_it(name: str, saved: Saved, backend: Backend) -> None:
    source = opened(saved(name), backend)
    for text, target in (TEXTS[:2], TEXTS[1::-1]):
        effects = source.effects(texts_of(source, text, target))
        for position in (0, effects.length // 2, effects.length - 1):
            attribution = effects.attribution(position)
            logits = attribution.uncapped_logits
            token, other = int(logits.argmax()), int(logits.argmin())
            less_mean, difference = (attribution.parts(token, against) for against in (None, other))
            assert less_mean.total == pytest.approx(logits[token] - logits.mean(), abs=CLOSE[backend.dtype])
            expected = logits[token] - logits[other]
            assert difference.total == pytest.approx(expected, abs=CLOSE[backend.dtype])
            assert max(map(abs, heads_of(less_mean).values())) > 0.01  # no head is lost in rounding


@pytest.mark.parametrize("name", ADDITIVE)
@pytest.mark.parametrize("backend", [FLOAT32, FLOAT64])
def test_the_keys_of_a_head_add_up_to_it(name: str, saved: Saved, backend: Backend) -> None:
    source = opened(saved(name), backend)
    effects = source.effects(texts_of(source, TEXTS[1], TEXTS[0]))
    attribution = effects.attribution(effects.length - 1)
    heads, largest = heads_of(attribution.parts(7, None)), list[float]()
    for looks in attribution.looks(7, None):
        expected = [heads[looks.kind, looks.layer, head] for head in range(len(looks.effects))]
        np.testing.assert_allclose(looks.effects.sum(axis=-1), expected, atol=CLOSE_LOOKS[backend.dtype])
        np.testing.assert_allclose(looks.weights.sum(axis=-1), 1, rtol=1e-5)
        largest += looks.weights.max(axis=-1).tolist()
    assert np.mean(largest) > PEAKED


@pytest.mark.parametrize("name", ADDITIVE)
def test_the_parts_are_those_of_the_stream_that_explain_decomposes(name: str, saved: Saved) -> None:
    """There a head writes a vector that passes the norms; here its context is read in one direction."""
    source = opened(saved(name), FLOAT64)
    effects = source.effects(texts_of(source, TEXTS[1], TEXTS[1]))
    assert isinstance(effects, NativeEffects)
    head, position = effects.language_head, effects.length - 2
    stream = ResidualStream(head.model, effects.inputs, [position], effects.kind, effects.memory)
    whole, token = stream.leaving[1], 5
    direction = Directions(head).of(token, None)
    parts = effects.attribution(position).parts(token, None)
    assert tuple(parts.components) == whole.components
    np.testing.assert_allclose(parts.effects, whole.parts[:, 0] @ direction.vector, atol=1e-9)
    constant = whole.constant[0] @ direction.vector + direction.constant
    assert parts.constant == pytest.approx(float(constant), abs=1e-9)


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "olmo2", "granite", "t5"])
def test_torch_splits_a_logit_as_numpy_does(name: str, saved: Saved) -> None:
    found = list[tuple[Parts, list[Looks]]]()
    for backend in (FLOAT64, torch_backend("cpu", DType.FLOAT64)):
        source = opened(saved(name), backend)
        effects = source.effects(texts_of(source, TEXTS[0], TEXTS[1]))
        attribution = effects.attribution(effects.length - 1)
        found.append((attribution.parts(5, None), list(attribution.looks(5, None))))
    (parts, looks), (of_torch, looks_of_torch) = found
    np.testing.assert_allclose(of_torch.effects, parts.effects, atol=CLOSE[DType.FLOAT64])
    for ours, theirs in zip(looks, looks_of_torch, strict=True):
        np.testing.assert_allclose(theirs.effects, ours.effects, atol=CLOSE[DType.FLOAT64])


@pytest.mark.parametrize("name", sorted(POST_NORM))
def test_a_model_that_normalises_its_sums_has_no_parts(name: str, saved: Saved) -> None:
    source = opened(saved(name), FLOAT64)
    with pytest.raises(AttnError, match="does not add up to its logits: it normalises each layer's sum"):
        source.effects(texts_of(source, TEXTS[0], TEXTS[1])).attribution(2)
