"""What native models expect next, and at a masked token, compared with transformers' own heads."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend, choose_backend
from attn_cli.models.bridge.exact_numbers import exact_numbers
from attn_cli.models.files.config import Config
from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.native.families import read_spec
from attn_cli.models.native.language_head import prediction
from attn_cli.models.native.language_head.prediction import NativeHead
from attn_cli.models.native.spec import Part
from attn_cli.models.native.transformer import Transformer
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import SourceRequest, Texts
from attn_cli.vocabulary import DType, Kind
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.language_models import (
    MASKED,
    NEXT,
    TARGETED,
    all_rows,
    apart,
    reference_logits,
    texts_of,
)
from tests.support.reference import NUMPY
from tests.support.twins import TEXTS, Recipe

pytestmark = pytest.mark.slow  # a twin of each family beside transformers

TWINS = {**NEXT, **{f"{name}, masked": recipe for name, recipe in MASKED.items()}, **TARGETED}
CLOSE = 1e-4  # of the largest logit; the largest difference seen is 9e-6
FARTHER = 10 * CLOSE  # what a missing term must cause


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    found: dict[str, Path] = {}

    def directory(name: str) -> Path:
        if name not in found:
            if "as trained" in name and transformers.__version__.startswith("5.2."):
                pytest.skip("transformers 5.2 cannot load DeBERTa's head as it was trained")
            found[name] = TWINS[name].save(tmp_path_factory.mktemp("head"))
        return found[name]

    return directory


def opened(directory: Path, backend: Backend) -> Checkpoint:
    source = open_checkpoint("twin", directory, backend)
    assert isinstance(source, Checkpoint)
    return source


@pytest.mark.parametrize("name", TWINS)
def test_the_logits_are_those_of_transformers(
    name: str, saved: Callable[[str], Path], backend: Backend
) -> None:
    source = opened(saved(name), backend)
    texts = texts_of(source, TEXTS[0], TEXTS[1])
    expected = reference_logits(saved(name), TWINS[name].model, texts)
    found = source.predictor(texts).logits(all_rows(texts))
    assert found.shape == expected.shape
    assert apart(found, expected) < CLOSE
    assert expected.std() > 1  # flat logits would pass with a broken head


def mutated(name: str, saved: Callable[[str], Path], change: Callable[[NativeHead], NativeHead]) -> float:
    """How far the logits are from those of transformers after a change."""
    source = opened(saved(name), NUMPY)
    texts = texts_of(source, TEXTS[0], TEXTS[1])
    found = source.predictor(texts)
    predictor = replace(found, head=change(found.head))
    return apart(predictor.logits(all_rows(texts)), reference_logits(saved(name), TWINS[name].model, texts))


def in_spec(**values: Any) -> Callable[[NativeHead], NativeHead]:
    return lambda found: replace(found, model=replace(found.model, spec=replace(found.model.spec, **values)))


def in_head(**values: Any) -> Callable[[NativeHead], NativeHead]:
    return lambda found: replace(found, known=replace(found.known, head=replace(found.known.head, **values)))


def in_known(**values: Any) -> Callable[[NativeHead], NativeHead]:
    return lambda found: replace(found, known=replace(found.known, **values))


def unbiased(part: Part | None) -> Part:
    assert part is not None
    return replace(part, has_bias=False)


# What a head has and another lacks, taken away: the twin must notice, or the test above proves nothing.
WITHOUT: dict[str, tuple[tuple[str, ...], Callable[[NativeHead], NativeHead]]] = {
    "the final norm": (
        (
            *("gpt2", "llama", "gpt_neo", "gpt_neox", "gptj", "opt", "bloom", "mistral", "qwen2", "qwen3"),
            *("gemma", "gemma2, no cap", "gemma3_text", "phi", "phi3", "olmo2", "smollm3", "granite"),
            *("t5", "modernbert, masked"),
        ),
        in_spec(final_norm=None),
    ),
    "the offset of the final gain": (("gemma", "gemma2", "gemma3_text"), in_spec(gain_offset=0.0)),
    "the bias of the matrix": (
        (
            *("gptj", "phi", "phi, tied", "bert, decoder", "bert, masked", "bert, untied, masked"),
            *("roberta, masked", "distilbert, masked", "electra, masked", "albert, masked", "mpnet, masked"),
            *("deberta-v2, masked", "deberta-v2, as trained, masked", "modernbert, masked"),
        ),
        in_known(bias=None),
    ),
    "the bias of the logits": (("bart", "bart, untied", "marian"), in_head(added_bias=None)),
    "the soft cap": (("gemma2", "gemma2, a low cap", "gemma3_text, a cap"), in_head(softcap=None)),
    "the scale": (("granite", "granite, tied", "t5"), in_head(scale=1.0)),
    "the activation": (
        ("bert, masked", "roberta, masked", "distilbert, masked", "electra, masked", "modernbert, masked"),
        in_head(activation=None),
    ),
    "the activation by the config": (
        ("bert, pretraining, masked", "distilbert, masked", "modernbert, biases, masked"),
        in_head(activation="gelu"),
    ),
    "the norm of the head": (
        ("bert, masked", "roberta, masked", "albert, masked", "mpnet, masked", "modernbert, masked"),
        in_head(norm=None),
    ),
    "the bias of the head's linear layer": (
        ("bert, masked", "modernbert, biases, masked"),
        lambda found: in_head(transform=unbiased(found.known.head.transform))(found),
    ),
}


@pytest.mark.parametrize(
    ("term", "name"), [(term, name) for term, (names, _) in WITHOUT.items() for name in names]
)
def test_a_term_that_is_missing_is_noticed(term: str, name: str, saved: Callable[[str], Path]) -> None:
    assert mutated(name, saved, WITHOUT[term][1]) > FARTHER


@pytest.mark.parametrize(
    ("name", "tied"),
    [
        ("gpt2, untied", "wte"),
        ("llama", "embed_tokens"),
        ("gemma, untied", "embed_tokens"),
        ("bert, untied, masked", "embeddings.word_embeddings"),
        ("bart, untied", "shared"),
    ],
)
def test_a_head_of_its_own_is_not_the_embeddings(name: str, tied: str, saved: Callable[[str], Path]) -> None:
    assert mutated(name, saved, in_known(matrix=tied)) > FARTHER


@pytest.mark.parametrize("name", ["llama", "t5", "bert, masked"])
def test_rows_are_those_of_all(name: str, saved: Callable[[str], Path], backend: Backend) -> None:
    source = opened(saved(name), backend)
    texts = texts_of(source, TEXTS[0], TEXTS[1])
    whole = source.predictor(texts).logits(all_rows(texts))
    np.testing.assert_allclose(source.predictor(texts).logits([3, 0]), whole[[3, 0]], atol=1e-5)


def test_the_layers_run_once_and_only_the_head_of_the_rows(
    saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = opened(saved("gpt2"), NUMPY)
    predictor = source.predictor(texts_of(source, TEXTS[0]))
    runs: list[int] = []
    own = Transformer.add_feed_forward

    def counted(model: Transformer, layer: int, *given: Any) -> Any:
        runs.append(layer)
        return own(model, layer, *given)

    monkeypatch.setattr(Transformer, "add_feed_forward", counted)
    assert runs == []  # before the first logits are asked for
    assert [predictor.logits([row]).shape for row in (0, 1)] == [(1, 300), (1, 300)]
    assert runs == [0, 1, 2]


@pytest.mark.parametrize("name", ["gpt2", "gptj", "bart"])
def test_the_matrix_may_be_read_in_blocks(
    name: str, saved: Callable[[str], Path], backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = opened(saved(name), backend)
    texts = texts_of(source, TEXTS[0], TEXTS[1])
    whole = source.predictor(texts).logits([2])
    monkeypatch.setattr(prediction, "_BLOCK", 7 * 32)  # seven tokens, which do not divide 300
    np.testing.assert_allclose(source.predictor(texts).logits([2]), whole, atol=1e-5)


def test_a_block_of_the_matrix_takes_64_mb() -> None:
    assert prediction._BLOCK * 4 == 64 << 20  # noqa: SLF001  a threshold


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_in_a_file_is_read_as_it_is(dtype: torch.dtype, tmp_path: Path) -> None:
    TWINS["smollm3"].save(tmp_path, dtype=dtype)
    source = opened(tmp_path, NUMPY)
    texts = texts_of(source, TEXTS[0])
    expected = reference_logits(tmp_path, "SmolLM3ForCausalLM", texts)
    assert apart(source.predictor(texts).logits(all_rows(texts)), expected) < CLOSE


@pytest.mark.parametrize("name", ["llama", "gemma2, a low cap", "t5, 1.1", "bert, masked"])
@pytest.mark.parametrize("dtype", [DType.FLOAT16, DType.BFLOAT16])
def test_half_precision_differs_by_its_rounding(
    name: str, dtype: DType, saved: Callable[[str], Path]
) -> None:
    source = opened(saved(name), NUMPY)
    texts = texts_of(source, TEXTS[0], TEXTS[1])
    half = opened(saved(name), choose_backend("cpu", dtype)).predictor(texts).logits(all_rows(texts))
    plain = source.predictor(texts).logits(all_rows(texts))
    theirs = reference_logits(saved(name), TWINS[name].model, texts, getattr(torch, dtype.value))
    assert half.dtype == np.float32
    assert 0 < apart(half, plain) < 3 * apart(theirs, plain)  # eager rounds as often, at other places


_ROUNDING = ("bart", "llama", "gemma2, a low cap", "bloom", "t5, 1.1", "bert, masked")


@pytest.mark.parametrize("name", _ROUNDING)
def test_in_float64_the_logits_are_those_of_transformers(name: str, saved: Callable[[str], Path]) -> None:
    source = opened(saved(name), choose_backend("cpu", DType.FLOAT64))
    texts = texts_of(source, TEXTS[0], TEXTS[1])
    found = source.predictor(texts).logits(all_rows(texts))
    assert found.dtype == np.float64
    assert apart(found, exact_logits(saved(name), TWINS[name].model, texts)) < 1e-12


@pytest.mark.parametrize("name", _ROUNDING)
def test_in_float32_the_logits_are_as_near_to_float64_as_those_of_transformers(
    name: str, saved: Callable[[str], Path]
) -> None:
    """Both round as often, at other places: on single texts a third more or less, here up to twice."""
    source = opened(saved(name), NUMPY)
    texts = texts_of(source, TEXTS[0], TEXTS[1])
    ours = source.predictor(texts).logits(all_rows(texts))
    theirs = reference_logits(saved(name), TWINS[name].model, texts)
    exact = exact_logits(saved(name), TWINS[name].model, texts)
    found, expected = (float(np.sqrt(((logits - exact) ** 2).mean())) for logits in (ours, theirs))
    assert 0 < found < 2 * expected


def exact_logits(directory: Path, model: str, texts: Texts) -> npt.NDArray[np.floating]:
    """The logits of transformers in float64, also where it casts to float32."""
    with exact_numbers(is_wanted=True):
        return reference_logits(directory, model, texts, torch.float64)


def changed(directory: Path, into: Path, change: Callable[[dict[str, Any]], Any], **config: Any) -> Path:
    """A copy of the model with other tensors, and other values in its configuration."""
    for file in directory.iterdir():
        (into / file.name).write_bytes(file.read_bytes())
    tensors = load_file(into / "model.safetensors")
    change(tensors)
    save_file(tensors, into / "model.safetensors", {"format": "pt"})
    values = json.loads((into / "config.json").read_text()) | config
    (into / "config.json").write_text(json.dumps(values))
    return into


def logits_of(directory: Path) -> Any:
    source = opened(directory, NUMPY)
    texts = texts_of(source, TEXTS[0], TEXTS[1])
    return source.predictor(texts).logits(all_rows(texts))


def renamed(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def rename(tensors: dict[str, Any]) -> None:
        for name in list(tensors):
            if name.startswith(old):
                tensors[new + name.removeprefix(old)] = tensors.pop(name)

    return rename


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("gpt2", renamed("transformer.", "")),  # the files of GPT-2 on the hub
        ("gpt_neox", renamed("embed_out.", "lm_head.")),
        ("gpt_neox", renamed("lm_head.", "embed_out.")),
        ("llama", renamed("", "_orig_mod.")),
        ("llama", renamed("", "module.")),
        ("bert, masked", renamed("", "module.")),
    ],
)
def test_a_head_is_found_under_its_names_in_all_versions(
    name: str, change: Callable[[dict[str, Any]], None], saved: Callable[[str], Path], tmp_path: Path
) -> None:
    other = changed(saved(name), tmp_path, change)
    np.testing.assert_allclose(logits_of(other), logits_of(saved(name)), atol=1e-6)


def test_norms_of_old_bert_files_are_found_in_the_head_too(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    def older(tensors: dict[str, Any]) -> None:
        for name in list(tensors):
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            )
            tensors[old] = tensors.pop(name)

    other = changed(saved("bert, masked"), tmp_path, older)
    np.testing.assert_allclose(logits_of(other), logits_of(saved("bert, masked")), atol=1e-6)


def without(*names: str) -> Callable[[dict[str, Any]], None]:
    def remove(tensors: dict[str, Any]) -> None:
        for name in [name for name in tensors if name.endswith(names)]:
            del tensors[name]

    return remove


HINT = "a model saved with its language head, such as GPT2LMHeadModel or BertForMaskedLM"
UNTIED = ", and the configuration does not tie it to the embeddings"


@pytest.mark.parametrize(
    ("name", "missing", "reason"),
    [
        ("llama", "lm_head.weight", f"the tensor lm_head.weight is missing from {{}}{UNTIED}"),
        ("gptj", "lm_head.weight", f"the tensor lm_head.weight is missing from {{}}{UNTIED}"),
        ("gptj", "lm_head.bias", "the tensor lm_head.bias is missing from {}"),
        ("phi, tied", "lm_head.bias", "the tensor lm_head.bias is missing from {}"),
        (
            "bert, masked",
            "transform.dense.weight",
            "the tensor cls.predictions.transform.dense.weight is missing from {}",
        ),
        (
            "bert, masked",
            "transform.LayerNorm.bias",
            "the tensor cls.predictions.transform.LayerNorm.bias is missing from {}",
        ),
        ("bert, masked", "predictions.bias", "the tensor cls.predictions.bias is missing from {}"),
        ("electra, masked", "generator_lm_head.bias", "the tensor generator_lm_head.bias is missing from {}"),
        (
            "opt, norms behind, narrow",
            "project_out.weight",
            "the tensor project_out.weight is missing from {}",
        ),
        ("bart, untied", "lm_head.weight", f"the tensor lm_head.weight is missing from {{}}{UNTIED}"),
    ],
)
def test_a_head_that_the_files_lack_is_refused(
    name: str, missing: str, reason: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    source = opened(changed(saved(name), tmp_path, without(missing)), NUMPY)
    with pytest.raises(AttnError) as raised:
        source.predictor(texts_of(source, TEXTS[0], TEXTS[1]))
    assert raised.value.problem == f"twin has no language head that is known: {reason.format(tmp_path)}"
    assert raised.value.hint == HINT


def test_a_bias_that_is_added_may_be_missing(saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = changed(saved("bart"), tmp_path, without("final_logits_bias"))
    source = opened(directory, NUMPY)
    expected = reference_logits(directory, TWINS["bart"].model, texts_of(source, TEXTS[0], TEXTS[1]))
    assert apart(logits_of(directory), expected) < CLOSE


def test_a_bare_model_whose_head_is_tied_predicts(saved: Callable[[str], Path], tmp_path: Path) -> None:
    other = changed(saved("gpt2"), tmp_path, renamed("transformer.", ""), architectures=["GPT2Model"])
    np.testing.assert_allclose(logits_of(other), logits_of(saved("gpt2")), atol=1e-6)


@pytest.mark.parametrize(
    "name", ["GPT2ForSequenceClassification", "GPT2ForTokenClassification", "GPT2ForQuestionAnswering"]
)
def test_a_model_of_another_task_predicts_no_tokens(
    name: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    source = opened(changed(saved("gpt2"), tmp_path, without("none"), architectures=[name]), NUMPY)
    with pytest.raises(AttnError) as raised:
        source.predictor(texts_of(source, TEXTS[0]))
    reason = f"it was saved as {name}, which predicts no tokens"
    assert raised.value.problem == f"twin has no language head that is known: {reason}"


@pytest.mark.parametrize("is_inside", [False, True])
def test_a_model_that_embeds_sentences_predicts_no_tokens(
    saved: Callable[[str], Path], tmp_path: Path, *, is_inside: bool
) -> None:
    directory = tmp_path / "0_Transformer" if is_inside else tmp_path
    directory.mkdir(exist_ok=True)
    (tmp_path / "modules.json").write_text("[]")
    source = opened(changed(saved("qwen2, tied"), directory, without("none")), NUMPY)
    with pytest.raises(AttnError) as raised:
        source.predictor(texts_of(source, TEXTS[0]))
    reason = "it was saved as a model that embeds sentences (modules.json)"
    assert raised.value.problem == f"twin has no language head that is known: {reason}"


def test_a_head_in_the_files_counts_whatever_else_they_say(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "modules.json").write_text("[]")
    other = changed(saved("qwen2"), tmp_path, without("none"))
    np.testing.assert_array_equal(logits_of(other), logits_of(saved("qwen2")))


def test_a_decoder_that_looks_to_both_sides_predicts_no_next_token(tmp_path: Path) -> None:
    FAMILIES["gemma3_text, to both sides"].save(tmp_path)
    source = opened(tmp_path, NUMPY)
    with pytest.raises(AttnError) as raised:
        source.predictor(texts_of(source, TEXTS[0]))
    reason = "its tokens see the tokens after them, so that no next token is predicted"
    assert raised.value.problem == f"twin has no language head that is known: {reason}"


def test_a_masked_model_that_is_made_causal_fills_in_nothing(saved: Callable[[str], Path]) -> None:
    source = open_checkpoint("twin", saved("bert, masked"), NUMPY, SourceRequest("x", is_causal=True))
    with pytest.raises(AttnError) as raised:
        source.predictor(texts_of(source, TEXTS[0]))
    reason = "it fills in masked tokens, which see both sides without --causal"
    assert raised.value.problem == f"twin has no language head that is known: {reason}"


def test_an_encoder_without_its_decoder_predicts_nothing(tmp_path: Path) -> None:
    config = copy.deepcopy(TRANSLATORS["t5"].config)  # the class changes it
    Recipe("T5EncoderModel", config, 1.3).save(tmp_path)
    source = opened(tmp_path, NUMPY)
    with pytest.raises(AttnError) as raised:
        source.predictor(texts_of(source, TEXTS[0]))
    reason = "it is an encoder without its decoder"
    assert raised.value.problem == f"twin has no language head that is known: {reason}"


def test_a_wrong_value_of_the_head_is_an_error_for_predictions_alone(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = changed(saved("granite"), tmp_path, without("none"), logits_scaling=0)
    source = opened(directory, NUMPY)
    assert len(list(source.attentions(texts_of(source, TEXTS[0]), Kind.SELF, [0]))) == 1
    with pytest.raises(AttnError, match="logits_scaling is 0, which is not a number other than 0"):
        source.predictor(texts_of(source, TEXTS[0]))


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({}, 8**-0.5),
        ({"tie_word_embeddings": True}, 8**-0.5),
        ({"tie_word_embeddings": False}, 1.0),
        ({"scale_decoder_outputs": False, "tie_word_embeddings": True}, 1.0),
        ({"scale_decoder_outputs": True, "tie_word_embeddings": False}, 8**-0.5),
    ],
)
def test_t5_scales_what_its_head_reads_as_its_config_says(config: dict[str, bool], scale: float) -> None:
    shape = {"model_type": "t5", "d_model": 8, "d_kv": 4, "d_ff": 8, "num_heads": 2, "num_layers": 1}
    values = {**shape, "vocab_size": 9, "num_decoder_layers": 1, **config}
    spec = read_spec(Config(values, Path("config.json")))
    assert spec.decoder is not None
    assert spec.decoder.head is not None
    assert spec.decoder.head().scale == scale
    theirs: Any = transformers.T5Config
    assert theirs(**config).scale_decoder_outputs == (scale < 1)
