"""The patterns of heads on random tokens that are repeated."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attn_cli.core import masks
from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands
from attn_cli.core.multihead import Attention, Linear
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.open import open_source
from attn_cli.models.source import Extent, Source, SourceRequest, Texts
from attn_cli.reading.probe import ProbePlan, plan_probe, run_probe
from attn_cli.vocabulary import Kind, Metric, Pattern, Step


def source(model: Path | str | None = None, **request: Any) -> Source:
    return open_source(SourceRequest(None if model is None else str(model), **request), {})


def no_progress(_done: int, _total: int) -> None:
    pass


def ids_of(texts: Texts) -> list[int]:
    return [token.id for token in texts.tokens]


@pytest.fixture(scope="module")
def plan() -> ProbePlan:
    return plan_probe(source(), None, 0)


def test_different_tokens_come_twice_after_the_start_token(plan: ProbePlan) -> None:
    for texts, length, second in zip(plan.texts, plan.lengths, plan.first_rows, strict=True):
        start, *both = ids_of(texts)
        assert (start, second) == (0, 1 + length)
        assert both[:length] == both[length:]
        assert len(set(both)) == length
        assert [token.position for token in texts.tokens] == list(range(1 + 2 * length))


def test_sequences_have_lengths_of_their_own_that_fit_a_window_of_64_tokens(plan: ProbePlan) -> None:
    assert plan.lengths == (62, 58, 54, 50)
    assert plan.rows == 224


def test_the_tokens_are_letters_and_none_is_special(plan: ProbePlan) -> None:
    tokens = [token for texts in plan.texts for token in texts.tokens[1:]]
    assert all(token.text.strip().isalpha() and not token.special for token in tokens)


def test_a_seed_draws_the_same_tokens_again_and_another_seed_others(plan: ProbePlan) -> None:
    assert plan_probe(source(), None, 0) == plan
    other = plan_probe(source(), None, 1)
    assert (plan.seeds, other.seeds) == ((0, 1, 2, 3), (1, 2, 3, 4))
    assert ids_of(other.texts[0]) != ids_of(plan.texts[0])


def test_an_encoder_reads_the_tokens_between_its_special_ones(twins: Path) -> None:
    plan = plan_probe(source(twins / "bert"), None, 0)
    for texts in plan.texts:
        pieces = [token.piece for token in texts.tokens]
        assert (pieces[0], pieces[-1]) == ("[CLS]", "[SEP]")
        assert not any(token.special for token in texts.tokens[1:-1])
    assert max(map(len, map(ids_of, plan.texts))) == 64  # as many as the twin has positions


def test_a_text_is_no_longer_than_the_model_has_positions(twins: Path) -> None:
    plan = plan_probe(source(twins / "gpt2"), None, 0)
    assert plan.lengths == (48, 45, 42, 39)


def by_hand(found: Source, plan: ProbePlan, layer: int, head: int) -> float:
    """The mean weight on what followed the first copy, over the second copies."""
    shares: list[float] = []
    for texts, length, second in zip(plan.texts, plan.lengths, plan.first_rows, strict=True):
        (attention,) = found.attentions(texts, plan.kind, [layer])
        weights = to_numpy(attention.steps([head], {Step.WEIGHTS})[Step.WEIGHTS])[0]
        shares += [float(weights[row, row - length + 1]) for row in range(second, second + length)]
    return float(np.mean(shares))


def test_the_share_of_induction_is_the_mean_weight_on_what_followed_the_first_copy(plan: ProbePlan) -> None:
    found = source()
    heads = {head.name: head for head in run_probe(found, plan, no_progress)}
    expected = by_hand(found, plan, 2, 6)
    assert heads["2.6"].metrics[Metric.INDUCTION] == pytest.approx(expected, abs=1e-6)  # float32
    known = heads["2.6"].known_for
    assert known is not None
    assert (known.pattern, known.rows) == (Pattern.INDUCTION, 224)
    assert known.share == pytest.approx(expected, abs=1e-6)
    assert expected > 0.7


def test_an_encoder_s_last_special_token_is_no_row_that_counts(twins: Path) -> None:
    found = source(twins / "bert")
    plan = plan_probe(found, None, 0)
    head = run_probe(found, plan, no_progress)[0]
    texts, second = plan.texts[0], plan.first_rows[0]
    one = replace(plan, texts=(texts,), lengths=plan.lengths[:1], first_rows=(second,), seeds=(0,))
    (attention,) = found.attentions(texts, Kind.SELF, [0])
    weights = to_numpy(attention.steps([0], {Step.WEIGHTS})[Step.WEIGHTS])[0]
    rows = range(second, second + plan.lengths[0])
    alone = run_probe(found, one, no_progress)[0].metrics
    assert alone[Metric.LARGEST] == pytest.approx(weights[rows].max(axis=-1).mean(), abs=1e-6)
    assert alone[Metric.CURRENT] == pytest.approx(np.mean([weights[row, row] for row in rows]), abs=1e-6)
    assert head.metrics[Metric.LARGEST] != alone[Metric.LARGEST]


def test_a_head_that_looks_a_fixed_distance_back_is_no_induction_head(
    monkeypatch: pytest.MonkeyPatch, plan: ProbePlan
) -> None:
    found = source("random", heads=1, width=256)
    back = plan.lengths[0] - 1  # what followed the first copy, in the first sequence

    def looking_back(_self: object, texts: Texts, *_: object) -> Any:
        size = len(texts.tokens)
        cells = np.eye(size, k=-back, dtype=np.float32)
        cells[:back, 0] = 1.0
        keys = np.eye(size, dtype=np.float32)[None]
        operands = Operands(cells[None] * 200, keys, keys, 1.0, masks.causal)
        return iter([Attention(np.zeros((size, size), np.float32), operands, Linear(np.eye(size)))])

    monkeypatch.setattr(type(found), "attentions", looking_back)
    (head,) = run_probe(found, plan_probe(found, None, 0), no_progress)
    assert head.pattern is None
    assert head.metrics[Metric.INDUCTION] == pytest.approx(62 / 224, abs=1e-3)  # of the first sequence


def test_cross_attention_has_no_copies() -> None:
    from tests.reading.test_kinds import Translator

    kinds = {kind: Extent(range(1), 4) for kind in (Kind.ENCODER, Kind.DECODER, Kind.CROSS)}
    with pytest.raises(UsageError) as raised:
        plan_probe(Translator(kinds), Kind.CROSS, 0)
    assert raised.value.hint == "--kind encoder or decoder"


def test_a_decoder_reads_its_start_token_first_and_the_encoder_other_tokens() -> None:
    from tests.reading.test_kinds import Translator

    kinds = {kind: Extent(range(1), 4) for kind in (Kind.ENCODER, Kind.DECODER, Kind.CROSS)}
    plan = plan_probe(Translator(kinds), Kind.DECODER, 0)
    for texts, length, second in zip(plan.texts, plan.lengths, plan.first_rows, strict=True):
        words = [token.text for token in texts.target]
        assert texts.target[0].special
        assert second == 1 + length
        assert words[1:second] == words[second:]
        assert len(texts.tokens) == 2 * length


def test_a_model_with_few_ordinary_tokens_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = source("random")
    words = dict(enumerate("abcdefg"))
    monkeypatch.setattr(type(found), "vocabulary", lambda *_: {**words, 8: "1", 9: "[unused]", 10: " "})
    with pytest.raises(AttnError) as raised:
        plan_probe(found, None, 0)
    assert raised.value.problem == (
        "random cannot be probed: it has 7 tokens of letters, too few for a random sequence"
    )
    assert raised.value.hint == 'name heads by a text instead: attn heads "..."'


def test_eight_ordinary_tokens_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    found = source("random")
    monkeypatch.setattr(type(found), "vocabulary", lambda *_: dict(enumerate("abcdefgh")))
    assert plan_probe(found, None, 0).lengths == (8, 7, 6, 5)
