"""What models of the bridge and towers expect, compared with the logits of transformers' own classes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from attn_cli.errors import AttnError
from attn_cli.models.backend import choose_backend
from attn_cli.models.bridge.bridge import Bridge
from attn_cli.models.bridge.language_head.prediction import BridgePredictor
from attn_cli.models.native.towers import TOWERS
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Source, Texts
from attn_cli.vocabulary import DType
from tests.support.every_language_model import language_twin, twin_texts, whole_logits
from tests.support.every_type import TYPES
from tests.support.language_models import apart
from tests.support.reference import NUMPY

pytestmark = pytest.mark.slow  # a twin of each type beside transformers

CLOSE = 1e-4  # of the largest logit; 6e-7 seen
SAMPLE = (
    *("cohere", "cohere2", "falcon", "mpt", "mixtral", "gpt_oss", "deepseek_v3", "gpt_bigcode", "minicpm3"),
    *("xglm", "codegen", "openai-gpt", "starcoder2", "glm4", "nemotron"),
    *(
        "deberta",
        "big_bird",
        "flaubert",
        "xlm",
        "esm",
        "rembert",
        "squeezebert",
        "ernie",
        "nomic_bert",
    ),
    *("led", "mt5", "umt5", "pegasus", "m2m_100", "mbart", "fsmt", "prophetnet", "encoder-decoder"),
)
MASKED = {"deberta", "big_bird", "flaubert", "xlm", "esm", "rembert", "squeezebert", "ernie"}
MASKED |= {"nomic_bert"}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Path]]:
    found: dict[str, tuple[Any, Path]] = {}

    def made(kind: str) -> tuple[Any, Path]:
        if kind not in found:
            directory = tmp_path_factory.mktemp("language")
            try:
                found[kind] = language_twin(kind, directory), directory
            except AttnError as error:
                pytest.skip(f"{kind}: {error.problem}")
        return found[kind]

    return made


Twin = Callable[[str], tuple[Any, Path]]


def opened(directory: Path) -> Source:
    return open_checkpoint("twin", directory, NUMPY)


@pytest.mark.parametrize("kind", [kind for kind in (*SAMPLE, *sorted(TOWERS)) if kind in TYPES])
def test_the_logits_are_those_of_transformers(kind: str, twin: Twin) -> None:
    model, directory = twin(kind)
    texts = twin_texts(model)
    try:
        source = opened(directory)
    except AttnError as error:
        pytest.skip(error.problem)
    if kind == "modernvbert":
        return
    assert source.engine == ("native" if kind in TOWERS else "transformers")
    predictor, expected = source.predictor(texts), whole_logits(model, texts)
    assert predictor.is_next == (kind not in MASKED)
    assert predictor.vocabulary == expected.shape[-1]
    for rows in ([3, 1], [0, 5], list(range(6))):
        assert apart(predictor.logits(rows), expected[rows]) < CLOSE
    assert expected.std() > 0.02


def test_a_tower_without_a_known_head_is_refused(twin: Twin) -> None:
    model, directory = twin("modernvbert")
    with pytest.raises(AttnError) as raised:
        opened(directory).predictor(twin_texts(model))
    assert (
        raised.value.problem == "the language head of type 'modernvbert' is not known: attn does not know it"
    )


@pytest.mark.parametrize("kind", ["granite_speech"])
def test_a_tower_whose_scale_depends_on_the_version_is_refused(kind: str, twin: Twin, tmp_path: Path) -> None:
    model, directory = twin(kind)
    for file in directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["text_config"]["logits_scaling"] = 8.0
    (tmp_path / "config.json").write_text(json.dumps(config))
    why = "whether its logits are scaled depends on the version of transformers"
    with pytest.raises(AttnError, match=f"the language head of type '{kind}' is not known: {why}"):
        opened(tmp_path).predictor(twin_texts(model))


@pytest.mark.parametrize("kind", ["xlnet", "bert-generation"])
def test_a_model_whose_tokens_see_later_ones_predicts_no_next_token(kind: str, twin: Twin) -> None:
    model, directory = twin(kind)
    with pytest.raises(AttnError) as raised:
        opened(directory).predictor(twin_texts(model))
    reason = "its tokens see those after them, so that no next token is predicted"
    assert raised.value.problem == f"twin has no language head that is known: {reason}"


def test_the_layers_run_once_and_the_head_reads_only_the_rows(twin: Twin) -> None:
    model, directory = twin("mixtral")
    source = opened(directory)
    predictor = source.predictor(twin_texts(model))
    assert isinstance(source, Bridge)
    inner = source._language_model.model  # noqa: SLF001
    runs, rows = list[int](), list[int]()
    layers = inner.model.layers
    hooks = [layer.register_forward_hook(lambda *_: runs.append(1)) for layer in layers]
    hooks.append(inner.lm_head.register_forward_hook(lambda _, given, __: rows.append(given[0].shape[-2])))
    one, other = predictor.logits([4]), predictor.logits([2, 9, 3])
    for hook in hooks:
        hook.remove()
    assert (len(runs), rows) == (len(layers), [1, 3])
    expected = whole_logits(model, twin_texts(model))
    assert apart(one, expected[[4]]) < CLOSE
    assert apart(other, expected[[2, 9, 3]]) < CLOSE


def test_another_text_of_the_same_model_has_its_own_logits(twin: Twin) -> None:
    model, directory = twin("cohere")
    source, whole = opened(directory), twin_texts(model)
    shorter = Texts(whole.tokens[3:9])
    for texts in (whole, shorter, whole):
        expected = whole_logits(model, texts)
        assert apart(source.predictor(texts).logits([5]), expected[[5]]) < CLOSE


def test_dynamic_rope_does_not_remember_a_longer_text(twin: Twin, tmp_path: Path) -> None:
    _, directory = twin("mixtral")
    for file in directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {
        "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4},
        "max_position_embeddings": 4,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    source = opened(tmp_path)
    model, _ = twin("mixtral")
    whole = twin_texts(model)
    shorter = Texts(whole.tokens[:7])
    first = source.predictor(shorter).logits([6])
    source.predictor(whole).logits([6])
    np.testing.assert_array_equal(source.predictor(shorter).logits([6]), first)


def changed(directory: Path, into: Path, names: tuple[str, ...], **config: Any) -> Path:
    """A copy of the model without some tensors, and with other values in its configuration."""
    for file in directory.iterdir():
        (into / file.name).write_bytes(file.read_bytes())
    tensors = load_file(into / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(names)}
    save_file(kept, into / "model.safetensors", {"format": "pt"})
    values = json.loads((into / "config.json").read_text()) | config
    (into / "config.json").write_text(json.dumps(values))
    return into


@pytest.mark.parametrize(
    ("kind", "names", "missing"),
    [
        ("mixtral", ("lm_head.weight",), "lm_head.weight"),
        ("deberta", ("transform.dense.bias",), "cls.predictions.transform.dense.bias"),
        ("squeezebert", ("predictions.bias",), "cls.predictions.bias"),
    ],
)
def test_a_head_that_the_files_lack_is_refused(
    kind: str, names: tuple[str, ...], missing: str, twin: Twin, tmp_path: Path
) -> None:
    model, directory = twin(kind)
    source = opened(changed(directory, tmp_path, names))
    with pytest.raises(AttnError) as raised:
        source.predictor(twin_texts(model))
    found = raised.value.problem
    assert found.startswith("twin has no language head that is known: the tensor ")
    assert missing.rpartition(".")[0].rpartition(".")[2] in found
    assert found.endswith(f"is missing from {tmp_path}")


def test_a_model_of_another_task_predicts_no_tokens(twin: Twin, tmp_path: Path) -> None:
    model, directory = twin("cohere")  # its head is tied
    name = "CohereForSequenceClassification"
    source = opened(changed(directory, tmp_path, ("none",), architectures=[name]))
    with pytest.raises(AttnError) as raised:
        source.predictor(twin_texts(model))
    reason = f"it was saved as {name}, which predicts no tokens"
    assert raised.value.problem == f"twin has no language head that is known: {reason}"


def test_a_type_without_a_language_head_is_refused(tmp_path: Path) -> None:
    from tests.support.every_type import save_twin

    save_twin("canine", tmp_path)
    source = opened(tmp_path)
    with pytest.raises(AttnError) as raised:
        source.predictor(Texts(source.tokens("the cat", None)))
    reason = "transformers has none for models of type canine"
    assert raised.value.problem == f"twin has no language head that is known: {reason}"


def test_other_number_formats(twin: Twin) -> None:
    model, directory = twin("mixtral")
    texts = twin_texts(model)
    expected = whole_logits(model, texts)
    for dtype, most in ((DType.FLOAT64, 1e-6), (DType.BFLOAT16, 0.1)):
        source = open_checkpoint("twin", directory, choose_backend("cpu", dtype))
        found = source.predictor(texts).logits([10])
        assert found.dtype == (np.float64 if dtype is DType.FLOAT64 else np.float32)
        assert apart(found, expected[[10]]) < most


def test_the_model_is_loaded_once_for_each_number_format(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    model, directory = twin("mixtral")
    source, texts = opened(directory), twin_texts(model)
    source.predictor(texts).logits([0])
    finer = source.with_backend(choose_backend("cpu", DType.FLOAT64))
    assert finer.predictor(texts).logits([0]).dtype == np.float64
    assert source.predictor(texts).logits([0]).dtype == np.float32
    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", None)
    source.predictor(texts).logits([0])
    assert torch.get_default_dtype() is torch.float32


@pytest.mark.parametrize(("change", "is_refused"), [(0.0, False), (0.049, False), (0.051, True)])
def test_a_first_row_that_changes_by_more_than_rounding_sees_later_tokens(
    change: float, twin: Twin, monkeypatch: pytest.MonkeyPatch, *, is_refused: bool
) -> None:
    model, directory = twin("mixtral")

    def run(_predictor: object, texts: Texts, _rows: object) -> Any:
        return np.array([[1.0, 0.0]]) if len(texts.tokens) > 1 else np.array([[1.0 - change, 0.0]])

    monkeypatch.setattr(BridgePredictor, "_run", run)
    source = opened(directory)
    if is_refused:
        with pytest.raises(AttnError, match="its tokens see those after them"):
            source.predictor(twin_texts(model))
    else:
        source.predictor(twin_texts(model))


@pytest.mark.every_type
def test_every_type_predicts_as_transformers_or_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = {kind: verdict_of(kind, tmp_path_factory.mktemp("language")) for kind in TYPES}
    assert {kind: verdict for kind, verdict in found.items() if verdict not in {"equal", "refused"}} == {}
    assert list(found.values()).count("equal") >= 200


def verdict_of(kind: str, directory: Path) -> str:
    """How the logits of a twin compare with those of transformers; refused if there are none to compare."""
    try:
        model = language_twin(kind, directory)
        texts = twin_texts(model)
        predictor = opened(directory).predictor(texts)
    except AttnError:
        return "refused"
    try:
        expected = whole_logits(model, texts)
    except TypeError:  # it needs an image as well, and only its language model runs here
        return "refused"
    return "equal" if apart(predictor.logits([3, 0]), expected[[3, 0]]) < CLOSE else "different"
