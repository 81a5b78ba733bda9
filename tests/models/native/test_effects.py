"""What heads do to predictions: sums that close, keys that add up to heads, ablation equal to hooks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import transformers

from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend, choose_backend
from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.native.effects import ablation
from attn_cli.models.native.effects.directions import Directions
from attn_cli.models.native.effects.text import NativeEffects
from attn_cli.models.native.residual import ResidualStream
from attn_cli.models.open import open_checkpoint, open_source
from attn_cli.models.predictions import SwitchedHead
from attn_cli.models.source import SourceRequest, Texts
from attn_cli.vocabulary import DType, Kind
from tests.support.language_models import NEXT, TARGETED, texts_of
from tests.support.twins import TEXTS

pytestmark = pytest.mark.slow  # a twin of each family beside transformers

ALL = {**NEXT, **TARGETED}
POST_NORM = {name for name in ALL if name.startswith(("bart", "marian"))} | {
    "opt, norms behind, narrow",
    "bert, decoder",
}
ADDITIVE = [name for name in ALL if name not in POST_NORM]
FLOAT64 = choose_backend("cpu", DType.FLOAT64)
STORY = "Tom Thumb went to sea, and Tom Thumb went home again, and Tom"

Numbers = npt.NDArray[np.floating]
Saved = Callable[[str], Path]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    found: dict[str, Path] = {}

    def directory(name: str) -> Path:
        if name not in found:
            found[name] = ALL[name].save(tmp_path_factory.mktemp("effects"))
        return found[name]

    return directory


def opened(directory: Path, backend: Backend) -> Checkpoint:
    source = open_checkpoint("twin", directory, backend)
    assert isinstance(source, Checkpoint)
    return source


def unseen(_done: int, _total: int) -> None:
    pass


@pytest.mark.parametrize("name", ADDITIVE)
@pytest.mark.parametrize(
    ("backend", "close"), [(choose_backend("cpu", DType.FLOAT32), 1e-4), (FLOAT64, 1e-9)]
)
def test_the_parts_of_a_logit_add_up_to_it(name: str, saved: Saved, backend: Backend, close: float) -> None:
    source = opened(saved(name), backend)
    texts = texts_of(source, TEXTS[0], TEXTS[1])
    position = len(texts.target or texts.tokens) - 2
    attribution = source.effects(texts).attribution(position)
    logits = attribution.uncapped_logits
    scale = max(1.0, float(np.abs(logits).max()))
    token, other = int(logits.argmax()), int(logits.argmin())
    for against, expected in ((None, logits[token] - logits.mean()), (other, logits[token] - logits[other])):
        parts = attribution.parts(token, against)
        assert parts.total == pytest.approx(expected, abs=close * scale)
        heads = {
            (each.kind, each.layer, each.head): effect
            for each, effect in zip(parts.components, parts.effects, strict=True)
            if each.head is not None
        }
        for looks in attribution.looks(token, against):
            for head, effects in enumerate(looks.effects):
                assert effects.sum() == pytest.approx(heads[looks.kind, looks.layer, head], abs=close * scale)
    assert np.abs(list(heads.values())).max() > 0.01 * scale


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


@pytest.mark.parametrize("name", sorted(POST_NORM))
def test_a_model_that_normalises_its_sums_has_no_parts(name: str, saved: Saved) -> None:
    source = opened(saved(name), FLOAT64)
    with pytest.raises(AttnError, match="does not add up to its logits: it normalises each layer's sum"):
        source.effects(texts_of(source, TEXTS[0], TEXTS[1])).attribution(2)


class Hooked:
    """transformers' model, with heads switched off by hooks before W^O."""

    def __init__(self, directory: Path, name: str, source: Checkpoint, texts: Texts) -> None:
        kind = getattr(transformers, name)
        self._model = kind.from_pretrained(directory, attn_implementation="eager").eval()
        self._source, self._texts = source, texts

    def logits(self, position: int, edits: Sequence[SwitchedHead]) -> Numbers:
        """(V,) with these heads replaced."""
        hooks = [self._module(edit).register_forward_pre_hook(self._edit(edit)) for edit in edits]
        given: dict[str, Any] = {"input_ids": torch.tensor([[token.id for token in self._texts.tokens]])}
        if self._texts.target:
            given["decoder_input_ids"] = torch.tensor([[token.id for token in self._texts.target]])
        with torch.no_grad():
            found: Numbers = self._model(**given).logits[0, position].double().numpy()
        for hook in hooks:
            hook.remove()
        return found

    def _module(self, edit: SwitchedHead) -> torch.nn.Module:
        spec = self._source.spec.decoder or self._source.spec
        part = spec.output if edit.kind is not Kind.CROSS or spec.cross is None else spec.cross.output
        wanted = part.name.format(**spec.numbers(edit.layer))
        modules: dict[str, torch.nn.Module] = dict(self._model.named_modules())
        return next(module for name, module in modules.items() if name.endswith(wanted))

    def _edit(self, edit: SwitchedHead) -> Any:
        size = (self._source.spec.decoder or self._source.spec).head_size

        def hook(_module: torch.nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            x = given[0].clone()
            new = torch.as_tensor(np.asarray(edit.contexts), dtype=x.dtype)
            columns = slice(edit.head * size, (edit.head + 1) * size)
            for row in range(x.shape[1]) if edit.rows is None else edit.rows:
                x[0, row, columns] = new if new.ndim == 1 else new[row]
            return (x,)

        return hook


def contexts_of(source: Checkpoint, texts: Texts) -> dict[tuple[Kind, int], Numbers]:
    return {(kind, layer): np.asarray(each) for kind, layer, each in source.effects(texts).contexts()}


@pytest.mark.parametrize(
    "name", ["gpt2", "llama", "gptj", "gemma2", "bloom", "opt, norms behind, narrow", "t5"]
)
def test_ablation_equals_hooks_in_transformers(name: str, saved: Saved) -> None:
    recipe, source = ALL[name], opened(saved(name), choose_backend("cpu", DType.FLOAT32))
    texts, others = texts_of(source, TEXTS[1], TEXTS[1]), texts_of(source, TEXTS[0], TEXTS[0])
    effects, hooked = source.effects(texts), Hooked(saved(name), recipe.model, source, texts)
    position, size = effects.length - 1, effects.head_size
    elsewhere = contexts_of(source, others)
    mean = {place: values.mean(axis=1) for place, values in elsewhere.items()}
    here = contexts_of(source, texts)
    shifted = {place: np.roll(values, 3, axis=1) for place, values in here.items()}  # as of another text
    variants = [[SwitchedHead(*place, np.zeros(size, np.float32))] for place in effects.places]
    variants += [[SwitchedHead(k, la, h, mean[k, la][h])] for k, la, h in effects.places]
    variants += [[SwitchedHead(k, la, h, shifted[k, la][h], [1, position])] for k, la, h in effects.places]
    variants.append([variant[0] for variant in variants[: len(effects.places)][::2]])
    found = effects.ablated(variants, position, unseen)
    logits = found.logits(range(len(variants) + 1))
    clean = hooked.logits(position, [])
    largest = float(np.abs(clean).max())
    np.testing.assert_allclose(logits[0], clean, atol=1e-4 * largest)
    for row, variant in enumerate(variants, start=1):
        expected = hooked.logits(position, variant)
        np.testing.assert_allclose(logits[row], expected, atol=2e-4 * largest)
    assert np.abs(logits[1:] - logits[0]).max() > 0.05 * largest


def test_chunks_of_variants_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(SourceRequest())
    texts = Texts(source.tokens(STORY, None))
    effects = source.effects(texts)
    variants = [[SwitchedHead(*place, np.zeros(32, np.float32))] for place in effects.places]
    steps: list[tuple[int, int]] = []
    whole = effects.ablated(variants, 18, unseen).logits(range(33))
    monkeypatch.setattr(ablation, "_NUMBERS", 7 * 19 * 2048)
    parts = effects.ablated(variants, 18, lambda *each: steps.append(each)).logits(range(33))
    np.testing.assert_allclose(parts, whole, atol=2e-5)
    assert steps[-1][0] == steps[-1][1]
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_kept_patterns_leave_only_values_to_change() -> None:
    """With all weights of the clean run kept, the last layer's queries and keys cannot matter."""
    source = open_source(SourceRequest(dtype=DType.FLOAT64))
    texts = Texts(source.tokens(STORY, None))
    effects = source.effects(texts)
    variants = [[SwitchedHead(Kind.SELF, 0, head, np.zeros(32))] for head in range(8)]
    kept = effects.ablated(variants, 18, unseen, keeps_patterns=True).logits(range(9))
    free = effects.ablated(variants, 18, unseen).logits(range(9))
    np.testing.assert_allclose(kept[0], free[0], rtol=1e-9)
    expected = [by_hand(source, texts, head) for head in range(8)]
    np.testing.assert_allclose(kept[1:], expected, atol=1e-8)
    assert np.abs(kept[1:] - free[1:]).max() > 0.1


def by_hand(source: Any, texts: Texts, head: int) -> Numbers:
    """(V,) head 0.`head` zeroed and all weights kept: a loop over layers with weights that were recorded."""
    model = source._transformer  # noqa: SLF001  the layers one by one
    inputs = source._predicting(texts)[1]  # noqa: SLF001
    weights = [np.asarray(block.attention.trace().weights) for block in model.blocks(inputs)]
    x = model.embedded(inputs)
    opened_text = model.opened(inputs, x)
    for layer, of_layer in enumerate(weights):
        block = opened_text.block(layer, x)
        contexts = of_layer @ block.attention.operands.values
        if layer == 0:
            contexts[head] = 0
        after = x + block.attention.projected(contexts)
        x = model.add_feed_forward(layer, after, model.feed_forward(layer, after, x))
    logits: Numbers = np.asarray(source.language_head().logits(x[-1:])[0])
    return logits


def test_the_values_of_storybook_are_those_measured_elsewhere() -> None:
    """EFFECTS.md, by a script of its own in float64."""
    source = open_source(SourceRequest())
    texts = Texts(source.tokens(STORY, None))
    attribution = source.effects(texts).attribution(18)
    token = int(attribution.logits.argmax())
    assert source.token_text(token, Kind.SELF) == " Th"
    assert attribution.logits[token] == pytest.approx(8.6386, abs=1e-4)
    parts = attribution.parts(token, None)
    heads = {
        (each.layer, each.head): effect for each, effect in zip(parts.components, parts.effects, strict=True)
    }
    assert heads[2, 7] == pytest.approx(3.54, abs=0.005)
    assert heads[2, 6] == pytest.approx(2.81, abs=0.005)
    assert heads[3, None] == pytest.approx(1.97, abs=0.005)
    assert parts.constant == pytest.approx(0.09, abs=0.005)
    look = next(looks for looks in attribution.looks(token, None) if looks.layer == 2)
    key = int(look.effects[6].argmax())
    assert source.tokens(STORY, None)[key].text == " Th"
    assert look.effects[6, key] == pytest.approx(2.80, abs=0.005)
    assert look.weights[6, key] == pytest.approx(0.99, abs=0.005)
    variants = [
        [SwitchedHead(Kind.SELF, *place, np.zeros(32, np.float32))] for place in ((0, 2), (2, 6), (2, 7))
    ]
    logits = source.effects(texts).ablated(variants, 18, unseen).logits(range(4)).astype(np.float64)
    lost = [(logits[0] - row)[token] - (logits[0] - row).mean() for row in logits[1:]]
    np.testing.assert_allclose(lost, [6.53, 3.65, 3.56], atol=0.005)
