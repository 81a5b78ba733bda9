"""Effects measured or published elsewhere: of the bundled model, and of GPT-2 where it is in the cache."""

from collections.abc import Mapping

import numpy as np
import pytest

from attn_cli.core.arrays import Exact, exact
from attn_cli.core.decomposition import pulled_back
from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.native.effects.attribution import NativeAttribution
from attn_cli.models.native.effects.directions import Directions
from attn_cli.models.open import open_source
from attn_cli.models.predictions import SwitchedHead
from attn_cli.models.source import SourceRequest, Texts
from attn_cli.models.tokens.token import Token
from attn_cli.vocabulary import Kind, Step
from tests.support.hub_cache import cached_gpt2
from tests.support.switched_heads import unseen

STORY = "Tom Thumb went to sea, and Tom Thumb went home again, and Tom"
START = "<|endoftext|>"
SHOPS = f"{START}When John and Mary went to the shops, John gave the bag to"
OF_SHOPS = {
    (9, 9): 1.9583,
    (9, 6): 1.6281,
    (10, 0): 0.6370,
    (10, 10): 0.4524,
    (8, 10): 0.4264,
    (10, 7): -1.4267,
    (11, 1): -0.9117,
    (11, 10): -0.9042,
}
"""Mary less John, from the demonstration of TransformerLens."""
INDUCTION = {(5, 5): 0.93, (6, 9): 0.91, (7, 10): 0.91, (5, 1): 0.91, (7, 2): 0.83}
"""On repeated random tokens, the mean weight on the token after the one that was the same."""


def test_the_values_of_storybook_are_those_measured_elsewhere() -> None:
    """By a script of its own in float64, which shares no code with this package."""
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


@pytest.fixture(scope="module")
def gpt2() -> Checkpoint:
    source = open_source(SourceRequest(model=cached_gpt2()))
    assert isinstance(source, Checkpoint)
    return source


@pytest.mark.gpt2
def test_the_heads_of_gpt2_that_name_the_other_person_add_what_was_published(gpt2: Checkpoint) -> None:
    found = name_effects(gpt2, SHOPS, " Mary", " John")
    for place, effect in OF_SHOPS.items():
        assert found[place] == pytest.approx(effect, abs=0.01), place
    ranked = sorted(found, key=found.__getitem__)
    assert ranked[-1:-4:-1] == [(9, 9), (9, 6), (10, 0)]
    assert ranked[0] == (10, 7)


def name_effects(source: Checkpoint, text: str, token: str, against: str) -> Mapping[tuple[int, int], float]:
    """What each head adds to the difference, without the part of its own b_V.

    TransformerLens folds b_V into the bias of W^O, which it may, for the weights of a row add up to 1.
    """
    texts = Texts(source.tokens(text, None))
    attribution = source.effects(texts).attribution(len(texts.tokens) - 1)
    assert isinstance(attribution, NativeAttribution)
    (one,), (other,) = (source.plain_tokens(word, Kind.SELF) for word in (token, against))
    found = dict[tuple[int, int], float]()
    for looks in attribution.looks(one.id, other.id):
        biases = of_value_biases(attribution, looks.layer, one, other)
        for head, effects in enumerate(looks.effects):
            found[looks.layer, head] = float(effects.sum() - biases[head])
    return found


def of_value_biases(attribution: NativeAttribution, layer: int, one: Token, other: Token) -> Exact:
    """(H,) what each head adds for its b_V alone: that of a value which is b_V at every key."""
    model, output = attribution.head.model, exact(attribution.output)[0]
    value = model.self_attention(layer, 1, None).value
    assert value.bias is not None, "GPT-2 has biases"
    direction = Directions(attribution.head).of(one.id, other.id).vector
    in_stream = pulled_back(direction, model.norm(model.spec.final_norm, 0, model.spec.width), output)
    read = attribution.layers[layer].rows[0].read_of_contexts(in_stream)
    effects: Exact = (exact(value.bias).reshape(read.shape) * read).sum(axis=-1)
    return effects


@pytest.mark.gpt2
def test_the_induction_heads_of_gpt2_score_what_was_published(gpt2: Checkpoint) -> None:
    draw = np.random.default_rng(0)
    start, once = gpt2.tokens(START, None)[:1], draw.integers(0, 50_000, 100).tolist()
    tokens = [*start, *(gpt2.tokenizer.text_token(index) for index in [*once, *once])]
    layers = gpt2.attentions(Texts(tuple(tokens)), Kind.SELF, range(12))
    weights = [np.asarray(layer.steps(range(12), [Step.WEIGHTS])[Step.WEIGHTS]) for layer in layers]
    for (layer, head), score in INDUCTION.items():
        found = np.diagonal(weights[layer][head], offset=-(len(once) - 1))[2:].mean()
        assert found == pytest.approx(score, abs=0.05), (layer, head)
