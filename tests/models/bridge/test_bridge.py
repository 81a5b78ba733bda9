"""Families without native support, through transformers: commands, steps, errors."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest
import safetensors.torch
import torch
import transformers

from attn_cli.core.arrays import to_numpy
from attn_cli.core.multihead import Attention
from attn_cli.errors import AttnError
from attn_cli.models.backend import torch_backend
from attn_cli.models.bridge import bridge as bridging
from attn_cli.models.bridge import capture, captured_layer, support
from attn_cli.models.bridge import hf_models as eager_models
from attn_cli.models.bridge import plan as planning
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Layer, Source, Texts
from attn_cli.vocabulary import DType, Kind, Step
from tests.support.every_type import TYPES, save_twin
from tests.support.reference import NUMPY, weights_of
from tests.support.twins import Save
from tests.support.worlds import attn, refused

pytestmark = pytest.mark.slow  # each model is made, saved and loaded by transformers

TEXT = "the cat sat on the mat and the mat sat on the cat"
UNSEEN = "only the softmax of this family can be observed"

Numbers = npt.NDArray[np.floating]

# Seen at most, over all families: 4e-7, the rounding of another order of sums.
CLOSE = 2e-5


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @cache
    def directory(kind: str) -> Path:
        if kind not in TYPES:
            pytest.skip(f"this version of transformers has no type {kind}")
        found = tmp_path_factory.mktemp(kind)
        save_twin(kind, found)
        return found

    return directory


def source(directory: Path) -> Source:
    return open_checkpoint("twin", directory, NUMPY)


def layers(found: Source, kind: Kind, target: str = "") -> list[Layer]:
    read = found.target_tokens(target) if found.has_decoder and target else ()
    return list(found.attentions(Texts(found.tokens(TEXT, None), read), kind, found.kinds[kind].layers))


def eager(directory: Path, *ids: list[int]) -> Any:
    """The weights that transformers returns in ordinary use."""
    model = transformers.AutoModel.from_pretrained(directory, attn_implementation="eager").eval()
    names = ("input_ids", "decoder_input_ids")
    given = {name: torch.tensor([each]) for name, each in zip(names, ids, strict=False)}
    with torch.no_grad():
        return model(**given, output_attentions=True, use_cache=False)


def ids_of(tokens: Any) -> list[int]:
    return [token.id for token in tokens]


@pytest.mark.parametrize(
    "kind", ["gpt_oss", "deepseek_v3", "cohere", "gemma2", "falcon", "mpt", "codegen", "xglm", "xlnet"]
)
def test_every_layer_agrees_with_eager(kind: str, saved: Callable[[str], Path]) -> None:
    directory = saved(kind)
    found = source(directory)
    expected = eager(directory, ids_of(found.tokens(TEXT, None))).attentions
    for ours, theirs in zip(layers(found, Kind.SELF), expected, strict=True):
        np.testing.assert_allclose(weights_of(ours), theirs[0].numpy(), atol=CLOSE)


SINKS = ("gpt_oss", "granite_swa", "mimo_v2_flash", "deepseek_v4", "flint", "inkling2_text")


@pytest.mark.parametrize("kind", SINKS)
def test_the_softmax_over_the_logits_and_a_learned_sink_is_the_weights(
    kind: str, saved: Callable[[str], Path]
) -> None:
    """Also for Granite, which scales the contexts by what the sink leaves; MiMo has sinks in some layers."""
    found = source(saved(kind))
    assert found.kinds[Kind.SELF].has_sinks
    sinks = 0
    for layer in layers(found, Kind.SELF):
        heads = range(layer.heads)
        sink, steps = (
            layer.sink(heads),
            layer.steps(heads, {Step.LOGITS, Step.WEIGHTS, Step.VALUES, Step.CONTEXT}),
        )
        step = {key: to_numpy(value) for key, value in steps.items()}
        if sink is None:
            np.testing.assert_allclose(step[Step.WEIGHTS].sum(axis=-1), 1, atol=1e-6)
            continue
        logits, size = to_numpy(sink.logits), step[Step.LOGITS].shape[:2]
        column = np.broadcast_to(logits if logits.ndim == 2 else logits[:, None], size)[..., None]
        powers = np.exp(np.concatenate([step[Step.LOGITS], column], axis=-1).astype(np.float64))
        expected = powers / powers.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(step[Step.WEIGHTS], expected[..., :-1], atol=1e-6)
        np.testing.assert_allclose(to_numpy(sink.weights), expected[..., -1], atol=1e-6)
        sinks += 1
    assert sinks == (2 if kind == "mimo_v2_flash" else 3)


def test_the_contexts_of_a_model_that_applies_its_sink_late_are_its_own(
    saved: Callable[[str], Path],
) -> None:
    """Granite returns the weights before the sink takes its share, so its contexts are not their sums."""
    found = source(saved("granite_swa"))
    theirs = eager(saved("granite_swa"), ids_of(found.tokens(TEXT, None))).attentions
    for layer, returned in zip(layers(found, Kind.SELF), theirs, strict=True):
        assert not layer.absent.keys() - {
            Step.BIAS,
            Step.VALUE_ZEROING,
        }  # the output too: our contexts are the model's
        ours = to_numpy(layer.steps(range(layer.heads), {Step.WEIGHTS})[Step.WEIGHTS])
        assert np.abs(ours - returned[0].numpy()).max() > 0.1
        np.testing.assert_allclose(weights_of(layer), returned[0].numpy(), atol=CLOSE)


def test_a_model_that_applies_its_sink_late_is_verified(saved: Callable[[str], Path]) -> None:
    assert attn("verify", "the cat sat", "-m", saved("granite_swa")).status == 0


@pytest.mark.parametrize("kind", ["m2m_100", "pegasus", "umt5", "fsmt"])
def test_the_three_kinds_agree_with_eager(kind: str, saved: Callable[[str], Path]) -> None:
    directory = saved(kind)
    found = source(directory)
    assert found.has_decoder
    start = json.loads((directory / "config.json").read_text())["decoder_start_token_id"]
    target = found.target_tokens("the cat was tired")
    assert ids_of(target) == [start, *ids_of(found.tokens("the cat was tired", None))[:-1]]
    theirs = eager(directory, ids_of(found.tokens(TEXT, None)), ids_of(target))
    assert tuple(found.kinds) == (Kind.ENCODER, Kind.DECODER, Kind.CROSS)
    for name in found.kinds:
        expected = theirs[f"{name}_attentions"]
        for ours, each in zip(layers(found, name, "the cat was tired"), expected, strict=True):
            np.testing.assert_allclose(weights_of(ours), each[0].numpy(), atol=CLOSE)


@pytest.mark.parametrize("kind", ["cohere", "gemma2", "deepseek_v3", "gpt_oss", "umt5", "roberta"])
def test_the_steps_add_up(kind: str, saved: Callable[[str], Path]) -> None:
    found = source(saved(kind))
    for layer in layers(found, next(iter(found.kinds))):
        skip_if_unseen(layer)
        heads = range(layer.heads)
        step = {key: to_numpy(value) for key, value in layer.steps(heads, list(Step)).items()}
        assert set(Step) - set(step) == set(layer.absent) <= {Step.BIAS, Step.VALUE_ZEROING}
        assert layer.opened is not None
        written = step[Step.WEIGHTS][..., None] * shares_of_keys(layer.opened, step[Step.VALUES])
        np.testing.assert_allclose(written.sum(axis=-2), step[Step.OUTPUT], rtol=0, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(written, axis=-1), step[Step.NORMS], rtol=0, atol=1e-5)
        np.testing.assert_allclose(step[Step.WEIGHTS] @ step[Step.VALUES], step[Step.CONTEXT], atol=1e-5)
        products = step[Step.QUERIES] @ step[Step.KEYS].swapaxes(-1, -2)
        np.testing.assert_allclose(products * layer.scale, step[Step.SCORES], atol=1e-4)  # of scores up to 50


def shares_of_keys(attention: Attention, values: Numbers) -> Numbers:
    """(H, 1, S, M) what each key would add to the output of a head if it took all weight."""
    assert attention.projection is not None
    weight, size = to_numpy(attention.projection.weight), values.shape[-1]
    slices = [weight[:, head * size : (head + 1) * size].T for head in range(attention.heads)]
    return np.stack([of_head @ each for of_head, each in zip(values, slices, strict=True)])[:, None]


def skip_if_unseen(layer: Layer) -> None:
    """T5's descendants pass their queries to an attention function since transformers 5.9 or so."""
    if isinstance(layer, captured_layer.CapturedLayer):
        pytest.skip("this version of transformers computes the attention in the family's own code")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record the models that are loaded."""
    models: list[Any] = []
    load_model = eager_models.load_model

    def spied(*given: Any, **how: Any) -> Any:
        models.append(load_model(*given, **how))
        return models[-1]

    monkeypatch.setattr(bridging, "load_model", spied)
    return models


def test_the_outputs_of_heads_and_the_bias_are_the_output_of_w_o(
    saved: Callable[[str], Path], loaded: list[Any]
) -> None:
    (layer, *_) = layers(source(saved("gpt_oss")), Kind.SELF)
    step = layer.steps(range(layer.heads), [Step.CONTEXT, Step.OUTPUT])
    projection = loaded[0].layers[0].self_attn.o_proj
    with torch.no_grad():
        whole = projection(step[Step.CONTEXT].transpose(0, 1).flatten(1))
        total = step[Step.OUTPUT].sum(dim=0) + projection.bias
    np.testing.assert_allclose(total, whole, atol=1e-5)  # another order of sums


def test_what_wrote_into_the_stream_is_not_known(saved: Callable[[str], Path]) -> None:
    found = source(saved("cohere"))
    with pytest.raises(AttnError) as error:
        found.decomposed_input(Texts(found.tokens(TEXT, None)), Kind.SELF, 0, [3], [1, 2])
    assert error.value.problem == (
        "what each component wrote into the residual stream is not known: "
        "twin is read through transformers, where only its sum is seen"
    )
    assert error.value.hint == "use a model of a native type: attn models --families lists them"


def test_only_requested_layers_are_loaded(saved: Callable[[str], Path], loaded: list[Any]) -> None:
    assert attn("inspect", TEXT, "-m", saved("cohere"), "--heads", "1.0").status == 0
    line = ("--target", "the cat", "--kind", "cross", "-l", "0")
    assert attn("inspect", TEXT, "-m", saved("m2m_100"), *line).status == 0
    assert len(loaded[0].layers) == 2
    assert (len(loaded[1].encoder.layers), len(loaded[1].decoder.layers)) == (3, 1)


def test_layers_that_depend_on_the_layer_count_are_all_loaded(
    saved: Callable[[str], Path], loaded: list[Any]
) -> None:
    layers(source(saved("jamba")), Kind.SELF)
    found = source(saved("jamba"))
    list(found.attentions(Texts(found.tokens(TEXT, None)), Kind.SELF, [1]))
    assert [len(each.layers) for each in loaded] == [4, 2]


def test_a_layer_is_the_same_in_a_shorter_model(saved: Callable[[str], Path]) -> None:
    found = source(saved("gemma2"))
    tokens = Texts(found.tokens(TEXT, None))
    (alone,) = found.attentions(tokens, Kind.SELF, [0])
    together = list(found.attentions(tokens, Kind.SELF, [0, 1, 2]))
    np.testing.assert_array_equal(weights_of(alone), weights_of(together[0]))


def test_json_has_the_engine_and_absent_steps(saved: Callable[[str], Path]) -> None:
    found = attn("inspect", TEXT, "-m", saved("mpt"), "--heads", "0.1", "--json").document
    jsonschema.Draft202012Validator(json.loads(attn("inspect", "--json-schema").out)).validate(found)
    assert (found["engine"], found["library"], found["model"]["type"]) == ("transformers", "torch", "mpt")
    (entry,) = found["attention"]
    assert (entry["scale"], entry["absent"]) == (None, {"scores": UNSEEN})
    assert list(entry["steps"]) == ["logits", "weights"]
    hidden = [[cell is None for cell in row] for row in entry["steps"]["logits"]]
    np.testing.assert_array_equal(hidden, ~np.tri(len(hidden), dtype=bool))


@pytest.mark.parametrize("kind", ["mpt", "gemma2"])  # of the first only the softmax is seen
def test_heads_at_a_glance_are_those_of_the_weights(kind: str, saved: Callable[[str], Path]) -> None:
    found = attn("heads", TEXT, "-m", saved(kind), "--json").document["heads"]
    each = [weights_of(layer) for layer in layers(source(saved(kind)), Kind.SELF)]
    for head, weights in zip(found, [one for layer in each for one in layer], strict=True):
        logarithms = np.log(np.where(weights > 0, weights, 1))
        assert head["entropy"] == pytest.approx(-(weights * logarithms).sum(axis=-1).mean(), abs=CLOSE)
        assert head["previous-token"] == pytest.approx(np.diagonal(weights, -1).mean(), abs=CLOSE)


def test_a_window_is_in_the_mask_and_a_bias_is_a_step(saved: Callable[[str], Path]) -> None:
    skip_if_unseen(layers(source(saved("umt5")), Kind.ENCODER)[0])
    line = ("-m", saved("umt5"), "--heads", "0.1", "-s", "bias", "--json")
    (entry,) = attn("inspect", TEXT, *line).document["attention"]
    assert np.ptp(entry["steps"]["bias"]) > 0.1
    (layer, *_) = layers(source(saved("gemma2")), Kind.SELF)
    assert to_numpy(layer.mask).shape == (17, 17)


@pytest.mark.parametrize("asked", [("-l", "0,1,2", "-H", "0"), ("--heads", "0.0,1.0,2.0")])
def test_a_hybrid_layer_without_attention_gets_a_remark(
    saved: Callable[[str], Path], asked: tuple[str, ...]
) -> None:
    answer = attn("inspect", TEXT, "-m", saved("jamba"), *asked, "--json")
    assert [each["layer"] for each in answer.document["attention"]] == [1]
    skipped = [f"layer {layer} is skipped: it has no attention" for layer in (0, 2)]
    assert [line for line in answer.err.splitlines() if "skipped" in line] == skipped


def test_all_layers_of_a_hybrid_are_those_that_attend(saved: Callable[[str], Path]) -> None:
    answer = attn("inspect", TEXT, "-m", saved("jamba"), "-l", "all", "-H", "0", "--json")
    assert [each["layer"] for each in answer.document["attention"]] == [1, 3]
    assert "left out" not in answer.err


def test_of_a_hybrid_the_layers_that_attend_are_shown(saved: Callable[[str], Path]) -> None:
    found = attn("inspect", TEXT, "-m", saved("jamba"), "-H", "0", "--json").document
    assert [entry["layer"] for entry in found["attention"]] == [1, 3]
    assert found["model"]["layers"] == 4
    answer = refused(attn("inspect", TEXT, "-m", saved("jamba"), "-l", "2"))
    problem = f"layer 2 of {saved('jamba').name} has no attention; layers with attention weights: 1, 3"
    assert answer == (2, problem, "--layer 1")


REFUSED = {
    "mamba": "{name} has no attention: its layers are MambaBlock",
    "fnet": "{name} has no attention: its layers are FNetLayer",
    "reformer": "{name} has no attention matrix: no softmax over tokens runs in ReformerAttention and "
    "LocalSelfAttention and LSHSelfAttention",
    "longformer": "{name} has no 13 × 13 attention matrix: its softmax is over 1 × 16 × 4 × 5",
    "vit": "{name} reads image, not text alone",
    "clip": "{name} reads image, not text alone",
    "whisper": "{name} reads audio, not text alone",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_model_without_a_matrix_says_what_it_has(kind: str, saved: Callable[[str], Path]) -> None:
    status, problem, _ = refused(attn("inspect", TEXT, "-m", saved(kind)))
    assert (status, problem) == (1, REFUSED[kind].format(name=saved(kind).name))


def test_blocks_of_a_longer_text_are_not_a_matrix(saved: Callable[[str], Path]) -> None:
    """BigBird attends in full to a short text, and in blocks to a longer one (`modeling_big_bird.py`)."""
    assert attn("inspect", "the cat sat", "-m", saved("big_bird"), "-l", "0").status == 0
    status, problem, _ = refused(attn("inspect", " ".join(["cat"] * 42), "-m", saved("big_bird"), "-l", "0"))
    shapes = "1 × 4 × 4 × 44, 1 × 4 × 4 × 20, 1 × 4 × 7 × 4 × 24"  # first and last, next to them, the others
    name = saved("big_bird").name
    assert status == 1
    assert problem == f"layer 0 of {name} has no 44 × 44 attention matrix: its softmax is over {shapes}"


def test_an_unknown_type_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "swoosh"}')
    problem = f"unknown model type 'swoosh': {tmp_path}/config.json"
    assert refused(attn("inspect", "x", "-m", tmp_path)) == (
        1,
        problem,
        "attn models --families lists the supported types",
    )


@pytest.mark.parametrize("kind", ["llama4", "blip-2", "instructblip"])
def test_of_a_model_that_needs_an_image_the_language_model_is_read(
    kind: str, saved: Callable[[str], Path]
) -> None:
    found = source(saved(kind))
    assert found.card.type == kind
    model = transformers.AutoModel.from_pretrained(saved(kind), attn_implementation="eager").eval()
    ids = torch.tensor([ids_of(found.tokens(TEXT, None))])
    with torch.no_grad():
        expected = model.language_model(input_ids=ids, output_attentions=True).attentions
    for ours, theirs in zip(layers(found, Kind.SELF), expected, strict=True):
        np.testing.assert_allclose(weights_of(ours), theirs[0].numpy(), atol=CLOSE)


@pytest.mark.parametrize(
    ("kind", "field"), [("squeezebert", "attentions"), ("prophetnet", "encoder_attentions")]
)
def test_weights_are_the_softmax_even_if_transformers_returns_its_input(
    kind: str, field: str, saved: Callable[[str], Path]
) -> None:
    found = source(saved(kind))
    ids = ids_of(found.tokens(TEXT, None))
    theirs = eager(saved(kind), ids, ids)[field]
    assert all(float(each.min()) < 0 for each in theirs)
    for ours, each in zip(layers(found, next(iter(found.kinds))), theirs, strict=True):
        np.testing.assert_allclose(weights_of(ours), each[0].softmax(dim=-1).numpy(), atol=CLOSE)
        np.testing.assert_allclose(weights_of(ours).sum(axis=-1), 1, atol=CLOSE)


UNTESTED = "model type '{}' was not tested; attn verify compares its numbers with transformers"


def test_a_type_that_was_never_tested_is_tried_and_said_to_be(
    saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = support.read_support()
    others = tuple(each for each in known.families if each.type != "cohere")
    line = ("inspect", TEXT, "-m", saved("cohere"), "--heads", "0.1", "-s", "weights", "--json")
    before = attn(*line)
    monkeypatch.setattr(bridging, "read_support", lambda: replace(known, families=others))
    answer = attn(*line)
    assert answer.document["attention"] == before.document["attention"]
    assert "not tested" not in before.err
    assert answer.err.splitlines().count(UNTESTED.format("cohere")) == 1


def test_a_mask_that_transformers_makes_cannot_be_overruled(saved: Callable[[str], Path]) -> None:
    name = saved("mpt").name
    problem = f"{name} is computed by transformers, and its mask cannot be overridden"
    found = refused(attn("inspect", "x", "-m", saved("mpt"), "--no-causal"))
    assert found == (2, problem, "leave out --causal and --no-causal")


def test_weights_may_be_in_a_bin_file_or_missing(saved: Callable[[str], Path], tmp_path: Path) -> None:
    for file in saved("cohere").iterdir():
        if file.suffix == ".json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    problem = f"{tmp_path} has no weights: neither model.safetensors nor pytorch_model.bin"
    assert refused(attn("inspect", TEXT, "-m", tmp_path)) == (1, problem, "download the model again")
    tensors = safetensors.torch.load_file(saved("cohere") / "model.safetensors")
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    line = ("--heads", "1.2", "-s", "weights", "--json")
    one, other = (attn("inspect", TEXT, "-m", each, *line).document for each in (saved("cohere"), tmp_path))
    assert one["attention"] == other["attention"]


def test_weights_of_the_wrong_shape_cannot_be_loaded(saved: Callable[[str], Path], tmp_path: Path) -> None:
    for file in saved("cohere").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = safetensors.torch.load_file(tmp_path / "model.safetensors")
    name = next(name for name in tensors if name.endswith("q_proj.weight"))
    rows, size = tensors[name].shape
    tensors[name] = tensors[name][:3].contiguous()
    safetensors.torch.save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    module = name.removeprefix("model.")
    problem = f"the tensor {module} in {tmp_path} has the shape {(3, size)}, not {(rows, size)}"
    hint = "check that config.json and the weights belong to the same model"
    assert refused(attn("inspect", TEXT, "-m", tmp_path)) == (1, problem, hint)


def test_a_wrong_recomputation_is_not_shown(
    saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = capture._call  # noqa: SLF001
    monkeypatch.setattr(capture, "_call", lambda asked, result: call(asked | {"scaling": 9.0}, result))
    (layer, *_) = layers(source(saved("cohere")), Kind.SELF)
    why = "the model's weights are not softmax(q·k × scale + bias), so only its softmax is shown"
    assert layer.absent[Step.SCORES] == why
    monkeypatch.undo()
    (whole, *_) = layers(source(saved("cohere")), Kind.SELF)
    np.testing.assert_allclose(weights_of(layer), weights_of(whole), atol=CLOSE)


def test_half_precision_is_the_models_own(saved: Callable[[str], Path]) -> None:
    found = open_checkpoint("twin", saved("cohere"), torch_backend("cpu", DType.BFLOAT16))
    (layer, *_) = layers(found, Kind.SELF)
    assert layer.steps([0], [Step.SCORES])[Step.SCORES].dtype == torch.bfloat16


def test_segments_reach_the_model(saved: Callable[[str], Path]) -> None:
    found = source(saved("roformer"))
    assert found.takes_pairs
    pair = found.tokens("the cat", "sat")
    assert {token.segment for token in pair} == {0, 1}
    flat = tuple(replace(token, segment=0) for token in pair)
    one, other = (weights_of(next(found.attentions(Texts(each), Kind.SELF, [0]))) for each in (pair, flat))
    assert np.abs(one - other).max() > 0.01


def test_a_token_beyond_the_vocabulary_is_named(saved: Callable[[str], Path], tmp_path: Path) -> None:
    for file in saved("mpt").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 6}))
    with pytest.raises(AttnError) as caught:
        source(tmp_path).tokens("the cat", None)
    assert caught.value.problem == "the token 'cat' has id 6, but the vocabulary has 6"


def test_trusted_code_of_a_checkpoint_runs(
    saved: Callable[[str], Path], tmp_path: Path, modules: Path
) -> None:
    for file in saved("cohere").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "configuration_own.py").write_text(
        "from transformers import CohereConfig\n\n\nclass OwnConfig(CohereConfig):\n    model_type = 'own'\n"
    )
    (tmp_path / "modeling_own.py").write_text(
        "from transformers import CohereModel\n\nfrom .configuration_own import OwnConfig\n\n\n"
        "class OwnModel(CohereModel):\n    config_class = OwnConfig\n"
    )
    config = json.loads((tmp_path / "config.json").read_text())
    names = {"AutoConfig": "configuration_own.OwnConfig", "AutoModel": "modeling_own.OwnModel"}
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": names}))
    line = ("--heads", "0.1", "-s", "weights", "--json")
    assert "comes with the checkpoint" in attn("inspect", TEXT, "-m", tmp_path, *line).err
    found = attn("inspect", TEXT, "-m", tmp_path, *line, "--trust-remote-code").document
    assert found["model"]["type"] == "own"
    assert [*modules.rglob("modeling_own.py")]  # not in the user's cache
    assert found["attention"] == attn("inspect", TEXT, "-m", saved("cohere"), *line).document["attention"]


@pytest.mark.parametrize("experts", [4, 7, 13])  # the last two are the usual lengths of the sketch
def test_a_router_s_softmax_is_no_layer(experts: int) -> None:
    config = transformers.SwitchTransformersConfig(
        vocab_size=128, d_model=32, d_kv=8, d_ff=48, num_layers=4, num_decoder_layers=4, num_heads=4,
        num_experts=experts, num_sparse_encoder_layers=2, num_sparse_decoder_layers=2,
        router_jitter_noise=0.0,
    )  # fmt: skip
    model: Any = transformers.SwitchTransformersModel(config)
    plan = planning.plan_attention("switch", model.eval())
    assert {kind: list(extent.layers) for kind, extent in plan.kinds.items()} == {
        Kind.ENCODER: [0, 1, 2, 3],
        Kind.DECODER: [0, 1, 2, 3],
        Kind.CROSS: [0, 1, 2, 3],
    }
    assert not any(extent.others for extent in plan.kinds.values())


class Gated(torch.nn.Module):
    """A layer with a softmax over as many gates as there are tokens, before its attention or after it."""

    def __init__(self, order: tuple[str, ...], *, mixes: bool = False) -> None:
        super().__init__()
        self.order, self.mixes = order, mixes
        self.heads = torch.nn.Parameter(torch.eye(2))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = torch.randn(1, 2, input_ids.shape[1], 8, device=input_ids.device)
        for softmax in self.order:
            if softmax == "gate":
                gate = hidden @ hidden.mT
                hidden = hidden * gate.softmax(-1).amax(-1, keepdim=True)
            else:
                weights = (hidden @ hidden.mT).softmax(-1)
                if self.mixes:
                    weights = (self.heads @ weights.flatten(-2)).view(weights.shape)
                hidden = weights @ hidden
        return hidden


class Stack(torch.nn.Module):
    def __init__(self, *layers: torch.nn.Module) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)
        self.config, self.device = transformers.BertConfig(vocab_size=64), torch.device("cpu")

    def forward(self, input_ids: torch.Tensor) -> None:
        for layer in self.layers:
            layer(input_ids)


@pytest.mark.parametrize("order", [("gate", "attention"), ("attention", "gate")])
def test_a_softmax_that_multiplies_no_values_is_no_attention(order: tuple[str, ...]) -> None:
    plan = planning.plan_attention("gated", Stack(Gated(order), Gated(("gate",)), Gated(order)))
    assert plan.kinds[Kind.SELF].layers == (0, 2)
    assert {turn for _, turn in plan.places} == {order.index("attention")}


def test_weights_that_are_changed_after_the_softmax_are_not_shown() -> None:
    mixing = Gated(("attention",), mixes=True)
    plan = planning.plan_attention("mixed", Stack(Gated(("attention",)), mixing))
    assert plan.kinds[Kind.SELF].layers == (0,)
    why = "it changes the result of its softmax before it multiplies the values"
    assert plan.kinds[Kind.SELF].others == {1: why}
    with pytest.raises(AttnError) as caught:
        planning.plan_attention("mixed", Stack(mixing))
    assert caught.value.problem == f"mixed {why.removeprefix('it ')}"


def test_talking_heads_are_refused(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """DeBERTa's option multiplies the weights of all heads with a matrix, after the softmax too."""
    config = transformers.DebertaConfig.from_pretrained(saved("deberta"))
    config.talking_head = True
    transformers.DebertaModel(config).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((saved("deberta") / "tokenizer.json").read_bytes())
    problem = f"{tmp_path.name} changes the result of its softmax before it multiplies the values"
    answer = refused(attn("inspect", TEXT, "-m", tmp_path))
    assert answer == (1, problem, "attn models --families lists what can be shown")


@pytest.mark.parametrize("kind", ["openai-gpt", "codegen", "gpt_neox_japanese", "mpt", "xglm"])
def test_a_mask_is_seen_whatever_number_it_adds(kind: str, saved: Callable[[str], Path]) -> None:
    """OpenAI's GPT adds -10,000 (`modeling_openai.py`), CodeGen the least number of the type."""
    for layer in layers(source(saved(kind)), Kind.SELF):
        step = layer.steps(range(layer.heads), [Step.MASK, Step.LOGITS])
        seen = np.broadcast_to(np.tri(step[Step.MASK].shape[-1], dtype=bool), step[Step.MASK].shape)
        np.testing.assert_array_equal(step[Step.MASK], seen)
        np.testing.assert_array_equal(np.isfinite(to_numpy(step[Step.LOGITS])), seen)


@pytest.mark.parametrize("kind", sorted({"deepseek_v4", "prophetnet", "switch_transformers"} & set(TYPES)))
def test_layers_have_the_numbers_of_their_modules(kind: str, saved: Callable[[str], Path]) -> None:
    found = source(saved(kind))
    assert isinstance(found, bridging.Bridge)
    for (trail, _), (_, layer) in found.plan.places.items():
        numbered = next(name for name in trail if re.search(r"\.\d+$", name))
        assert numbered.endswith(f".{layer}")


@pytest.mark.parametrize("name", ["relu2", "mish", "laplace"])
def test_a_variant_of_a_family_of_ours_is_read_over_the_bridge(save: Save, name: str) -> None:
    directory = save("bert")
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"hidden_act": name}))
    answer = attn("verify", TEXT, "-m", directory, "--json")
    assert (answer.document["engine"], answer.document["passed"]) == ("transformers", True)


LOOKS_AHEAD = """
from transformers import LlamaConfig, LlamaModel


class BothSidesConfig(LlamaConfig):
    model_type = "llama"


class BothSidesModel(LlamaModel):
    config_class = BothSidesConfig

    def __init__(self, config):
        config.is_causal = False
        super().__init__(config)
"""


def test_code_beside_a_family_of_ours_runs_where_it_is_trusted(
    save: Save, modules: Path
) -> None:  # LLM2Vec's layout
    directory = save("llama")
    (directory / "modeling_both_sides.py").write_text(LOOKS_AHEAD)
    config = json.loads((directory / "config.json").read_text())
    names = {"auto_map": {"AutoModel": "modeling_both_sides.BothSidesModel"}}
    (directory / "config.json").write_text(json.dumps(config | names))
    line = ("inspect", TEXT, "-m", directory, "--heads", "0.1", "-s", "weights", "--json")
    plain, trusting = attn(*line), attn(*line, "--trust-remote-code")
    assert "comes with its own Python code, which was not run" in plain.err
    assert (plain.document["engine"], trusting.document["engine"]) == ("native", "transformers")
    assert [*modules.rglob("modeling_both_sides.py")]
    masked, seen = (
        np.triu(answer.document["attention"][0]["steps"]["weights"], 1).max() for answer in (plain, trusting)
    )
    assert masked == 0
    assert seen > 0.1
    assert attn("verify", TEXT, "-m", directory, "--trust-remote-code", "--json").document["passed"]


def test_of_more_than_three_shapes_without_a_matrix_the_first_are_named() -> None:
    watch = capture.AttentionRecorder([(9, 9)], lambda _: True)
    for count, end in ((3, "1 × 2 × 3"), (4, "1 × 2 × 3 and others")):
        watch.misfits = [(1, 2, size) for size in range(1, count + 1)]
        error = planning.no_matrix("layer 0", torch.nn.Module(), 9, watch)
        named = f"1 × 2 × 1, 1 × 2 × 2, {end}"
        assert error.problem == f"layer 0 has no 9 × 9 attention matrix: its softmax is over {named}"


def test_only_learned_positions_limit_the_length_of_a_text(
    saved: Callable[[str], Path],
) -> None:
    """BioGPT's table has two rows more than positions (`modeling_biogpt.py`); Cohere turns its keys."""
    fitting, longer = " ".join(["cat"] * 62), " ".join(["cat"] * 63)  # and two marks, one at each end
    shown = ("--heads", "0.0", "-s", "weights")
    assert attn("inspect", fitting, "-m", saved("biogpt"), *shown).status == 0
    problem = f"the text is too long: 65 tokens, but {saved('biogpt').name} has 64 positions"
    answer = refused(attn("inspect", longer, "-m", saved("biogpt"), *shown))
    assert answer == (1, problem, "shorten the text, or use a model with more positions")
    assert attn("inspect", longer, "-m", saved("cohere"), *shown).status == 0


@pytest.mark.parametrize(("rows", "is_bounded"), [(63, False), (64, True), (66, True), (67, False)])
def test_a_table_of_positions_has_as_many_rows_or_up_to_two_more(rows: int, *, is_bounded: bool) -> None:
    """More are a table of something else: of distances, which go both ways."""
    whole = torch.nn.ModuleDict({"position_embeddings": torch.nn.Embedding(rows, 1)})
    config = transformers.BertConfig(max_position_embeddings=64)
    assert bridging._room(config, whole) == (64, is_bounded)  # noqa: SLF001


@pytest.mark.parametrize("kind", ["cohere", "falcon", "mt5"])
def test_for_many_texts_a_model_is_loaded_once(
    kind: str, saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = source(saved(kind))
    chosen = next(iter(one.kinds))
    layers = list(one.kinds[chosen].layers)
    loads, own = list[Path](), eager_models.load_model

    def counted(directory: Path, *given: Any, **named: Any) -> Any:
        loads.append(directory)
        return own(directory, *given, **named)

    monkeypatch.setattr(bridging, "load_model", counted)
    many = one.for_many_texts(0.0)
    texts = [Texts(one.tokens(text, None), ()) for text in (TEXT, "the cat", TEXT)]  # a long one first
    found = [[step_of(layer) for layer in many.attentions(each, chosen, layers)] for each in texts]
    assert len(loads) == 1
    for each, weights in zip(texts, found, strict=True):
        expected = [step_of(layer) for layer in one.attentions(each, chosen, layers)]
        assert all(np.array_equal(one, other) for one, other in zip(expected, weights, strict=True))
    assert len(loads) == 1 + len(texts)


def step_of(layer: Layer) -> Numbers:
    """The attention weights of all heads."""
    return to_numpy(layer.steps(range(layer.heads), {Step.WEIGHTS})[Step.WEIGHTS])
