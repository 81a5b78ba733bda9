"""Runs without heads: equal to hooks in transformers, for each method, and in whatever chunks they run."""

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest

from attn_cli.models.backend import choose_backend
from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.native.effects import ablation
from attn_cli.models.open import open_source
from attn_cli.models.predictions import SwitchedHead
from attn_cli.models.source import SourceRequest, Texts
from attn_cli.reading.effects.switching import Contexts, Switching, replacements
from attn_cli.vocabulary import AblationMethod, DType, Kind
from tests.support.language_models import NEXT, TARGETED, HeadRecipe, texts_of
from tests.support.saved_twins import Saved, opened, saving
from tests.support.switched_heads import Hooked, Numbers, unseen, zeroed
from tests.support.twins import TEXTS

pytestmark = pytest.mark.slow  # a run of transformers for each head

ALL = {**NEXT, **TARGETED, "llama, one key head": HeadRecipe("LlamaForCausalLM", "llama, one key head")}
TWINS = [
    *("gpt2", "llama", "llama, one key head", "gptj", "gemma2", "gemma3_text", "olmo2", "granite", "bloom"),
    *("opt, norms behind, narrow", "phi3", "t5", "bart"),
]
STORY = "Tom Thumb went to sea, and Tom Thumb went home again, and Tom"
OTHER = "Tom Thumb went to war, and Jack Spratt went home again, to Tom"
CLOSE = 2e-4  # of the largest logit; the largest difference seen is 2e-5


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return saving(ALL, tmp_path_factory)


@pytest.fixture(scope="module")
def storybook() -> Checkpoint:
    source = open_source(SourceRequest())
    assert isinstance(source, Checkpoint)
    return source


def replaced(source: Checkpoint, texts: Texts, others: Sequence[Texts], method: AblationMethod) -> Contexts:
    """What `attn effects` puts in place of the contexts of every head."""
    effects = source.effects(texts)
    switching = Switching(method, others=[source.effects(other) for other in others])
    return replacements(effects, switching, effects.places)


def recorded(hooked: Hooked, source: Checkpoint, texts: Texts, others: Sequence[Texts]) -> list[Contexts]:
    """(T, D) or (D,) the same by loops over what transformers' own heads compute: zeros, means, samples."""
    effects = source.effects(texts)
    by_layer = {
        (kind, layer): [hooked.contexts(other, kind, layer) for other in others]
        for kind, layer, _ in effects.places
    }
    zeros, means, samples = (dict[tuple[Kind, int, int], Numbers]() for _ in range(3))
    for kind, layer, head in effects.places:
        of_texts = [contexts[head] for contexts in by_layer[kind, layer]]
        zeros[kind, layer, head] = np.zeros(effects.head_size)
        every_row = [row for contexts in of_texts for row in contexts]
        means[kind, layer, head] = np.add.reduce(every_row) / len(every_row)
        samples[kind, layer, head] = of_texts[0]
    return [zeros, means, samples]


@pytest.mark.parametrize("name", TWINS)
def test_three_ways_to_switch_a_head_off_equal_hooks_in_transformers(name: str, saved: Saved) -> None:
    source = opened(saved(name), choose_backend("cpu", DType.FLOAT32))
    texts, other = texts_of(source, TEXTS[1], TEXTS[1]), texts_of(source, TEXTS[1][::-1], TEXTS[1][::-1])
    other = of_length(other, texts)
    check_against_hooks(source, Hooked(ALL[name].model, source), texts, other)


def test_every_head_of_storybook_is_switched_off_as_by_hooks(storybook: Checkpoint) -> None:
    texts, other = (Texts(storybook.tokens(text, None)) for text in (STORY, OTHER))
    check_against_hooks(storybook, Hooked("GPT2LMHeadModel", storybook), texts, of_length(other, texts))


def of_length(other: Texts, texts: Texts) -> Texts:
    """As many tokens of the other text, with those of this one where it has too few."""
    return Texts(
        (*other.tokens, *texts.tokens[len(other.tokens) :])[: len(texts.tokens)],
        (*other.target, *texts.target[len(other.target) :])[: len(texts.target)],
    )


def check_against_hooks(source: Checkpoint, hooked: Hooked, texts: Texts, other: Texts) -> None:
    effects = source.effects(texts)
    position = effects.length - 1
    clean = hooked.logits(texts, position)
    largest = float(np.abs(clean).max())
    expected = recorded(hooked, source, texts, [other])
    for method, theirs in zip(AblationMethod, expected, strict=True):
        ours = replaced(source, texts, [other], method)
        for place in effects.places:
            np.testing.assert_allclose(ours[place], theirs[place], atol=CLOSE)
        variants = [[SwitchedHead(*place, ours[place])] for place in effects.places]
        rows = [1, position] if method is AblationMethod.RESAMPLE else None
        variants += [[SwitchedHead(*place, ours[place], rows)] for place in effects.places[::5]]
        variants.append([variant[0] for variant in variants[: len(effects.places)][::2]])
        found = effects.ablated(variants, position, unseen).logits(range(len(variants) + 1))
        np.testing.assert_allclose(found[0], clean, atol=CLOSE * largest)
        for row, variant in enumerate(variants, start=1):
            again = [
                SwitchedHead(v.kind, v.layer, v.head, theirs[v.kind, v.layer, v.head], v.rows)
                for v in variant
            ]
            reference = hooked.logits(texts, position, again)
            np.testing.assert_allclose(found[row], reference, atol=CLOSE * largest)
        assert np.abs(found[1:] - found[0]).max() > 0.05 * largest


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "bloom", "t5", "bart"])
def test_kept_patterns_equal_a_run_whose_softmax_is_that_of_the_clean_one(name: str, saved: Saved) -> None:
    source = opened(saved(name), choose_backend("cpu", DType.FLOAT32))
    texts = texts_of(source, TEXTS[1], TEXTS[1])
    check_kept_patterns(source, Hooked(ALL[name].model, source), texts)


def test_kept_patterns_of_storybook_equal_hooks(storybook: Checkpoint) -> None:
    texts = Texts(storybook.tokens(STORY, None))
    check_kept_patterns(storybook, Hooked("GPT2LMHeadModel", storybook), texts)


def check_kept_patterns(source: Checkpoint, hooked: Hooked, texts: Texts) -> None:
    effects, variants = source.effects(texts), zeroed(source, texts)
    position, rows = effects.length - 1, range(len(variants) + 1)
    kept = effects.ablated(variants, position, unseen, keeps_patterns=True).logits(rows)
    free = effects.ablated(variants, position, unseen).logits(rows)
    largest = float(np.abs(free[0]).max())
    for row, variant in enumerate(variants, start=1):
        expected = hooked.logits(texts, position, variant, keeps_patterns=True)
        np.testing.assert_allclose(kept[row], expected, atol=CLOSE * largest)
    assert np.abs(kept - free).max() > 0.05 * largest


def test_a_mean_is_taken_at_each_position_if_all_texts_are_as_long(storybook: Checkpoint) -> None:
    texts, first, second = (
        Texts(storybook.tokens(text, None)) for text in (STORY, STORY.replace("sea", "war"), STORY)
    )
    place = (Kind.SELF, 1, 3)
    others = [dict_of(storybook, each)[place] for each in (first, second)]
    by_position = replaced(storybook, texts, [first, second], AblationMethod.MEAN)[place]
    np.testing.assert_allclose(by_position, (others[0] + others[1]) / 2, atol=1e-6)
    shorter = Texts(storybook.tokens("the cat sat", None))
    over_all = replaced(storybook, texts, [first, shorter], AblationMethod.MEAN)[place]
    every_row = [*others[0], *dict_of(storybook, shorter)[place]]
    np.testing.assert_allclose(over_all, np.add.reduce(every_row) / len(every_row), atol=1e-6)


def dict_of(source: Checkpoint, texts: Texts) -> dict[tuple[Kind, int, int], Numbers]:
    """(T, D) the contexts of every head."""
    return {
        (kind, layer, head): np.asarray(of_head)
        for kind, layer, contexts in source.effects(texts).contexts()
        for head, of_head in enumerate(contexts)
    }


@pytest.mark.parametrize(("tokens", "heads"), [(30, 32), (120, 32), (240, 12)])
def test_the_memory_that_is_stated_is_the_memory_that_is_needed(
    tokens: int, heads: int, storybook: Checkpoint
) -> None:
    texts = Texts(storybook.tokens(STORY * 16, None)[:tokens])
    effects, variants = storybook.effects(texts), zeroed(storybook, texts)[:heads]
    tracemalloc.start()
    effects.ablated(variants, tokens - 1, unseen).logits(range(heads + 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    stated = 4 * effects.numbers_held(heads, heads)  # float32
    assert 0.9 * peak < stated < 2 * peak  # NumPy frees its arrays sooner or later within an expression


def test_chunks_of_variants_change_nothing(storybook: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = Texts(storybook.tokens(STORY, None))
    effects, variants = storybook.effects(texts), zeroed(storybook, texts)
    steps: list[tuple[int, int]] = []
    whole = effects.ablated(variants, 18, unseen).logits(range(33))
    monkeypatch.setattr(ablation, "_NUMBERS", 7 * 19 * 2048)
    parts = effects.ablated(variants, 18, lambda *each: steps.append(each)).logits(range(33))
    np.testing.assert_allclose(parts, whole, atol=2e-5)
    assert steps[-1][0] == steps[-1][1]
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
