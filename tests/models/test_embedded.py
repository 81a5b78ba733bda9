"""The bundled model: small, complete, correctly labelled, and the same in transformers."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from attn_cli.analysis.patterns import NEEDED, add_tallies, tally_patterns
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.row_metrics import measure_weights
from attn_cli.models.backend import choose_backend
from attn_cli.models.head_labels import HeadLabel, read_head_labels
from attn_cli.models.hub.locate import EMBEDDED_DIRECTORY
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Source, Texts
from attn_cli.models.tokens.token import Token
from attn_cli.vocabulary import EMBEDDED, DType, Kind, Pattern
from tests.support.reference import weights_of
from tests.support.worlds import attn

ROOT = Path(__file__).parents[2]
MEASURED: dict[str, Any] = json.loads((EMBEDDED_DIRECTORY / "attn.json").read_text("utf-8"))
TEXTS = (
    "Tom has a red ball and Ann has a blue ball.",
    "The animal didn't cross the street because it was too tired.",
    "Café 日本 🙂 (naïve)\n\n\tonce upon a time",
)


@pytest.fixture(scope="module")
def storybook() -> Source:
    return open_checkpoint(EMBEDDED, EMBEDDED_DIRECTORY, choose_backend("cpu", DType.FLOAT32))


def best(pattern: Pattern) -> HeadLabel:
    return next(head for head in read_head_labels(EMBEDDED_DIRECTORY, 4, 8) if head.pattern is pattern)


def score(source: Source, head: HeadLabel, texts: list[list[int]], first_row: int = 1) -> float:
    """The score of the head known for a pattern on these tokens."""
    found = []
    for ids in texts:
        tokens = tuple(
            Token(place, index, "", "", 0, 0, special=False, segment=0) for place, index in enumerate(ids)
        )
        (attention,) = source.attentions(Texts(tokens), Kind.SELF, [head.layer])
        weights = weights_of(attention)[[head.head]]
        mask = np.asarray(attention.mask)
        measured = measure_weights(weights, mask, NEEDED, KeyTokens(np.array(ids)))
        found.append(tally_patterns(measured, first_row)[head.pattern])
    return float(add_tallies(found).scores[0])


def test_it_is_small() -> None:
    assert sum(file.stat().st_size for file in EMBEDDED_DIRECTORY.iterdir()) <= 12_000_000


def test_it_has_heads_worth_looking_at() -> None:
    assert best(Pattern.PREVIOUS).score >= 0.7
    assert best(Pattern.INDUCTION).score >= 0.6  # on repeated random tokens
    on_prose = [head["scores"]["repeated prose"]["induction"] for head in MEASURED["heads"]]
    assert max(on_prose) >= 0.6


@pytest.mark.parametrize("pattern", [Pattern.PREVIOUS, Pattern.CURRENT])
def test_a_head_shows_its_pattern_on_another_story(pattern: Pattern, storybook: Source) -> None:
    text = (ROOT / "sample_inputs" / "alice.txt").read_text("utf-8")
    ids = [token.id for token in storybook.tokens(text, None)][:512]
    head = best(pattern)
    found = score(storybook, head, [ids])
    assert found > 0.5
    assert found == pytest.approx(head.score, abs=0.1)  # another story than the card's


@pytest.mark.slow
def test_repeated_random_tokens_score_as_the_card_says(storybook: Source) -> None:
    draw = np.random.default_rng(0)  # the card's own: the same tokens, by NumPy instead of PyTorch
    halves = [1 + draw.permutation(4095)[:255] for _ in range(16)]
    texts = [[0, *half.tolist(), *half.tolist()] for half in halves]
    for entry in sorted(MEASURED["heads"], key=lambda each: -each["scores"]["random repeats"]["induction"])[
        :2
    ]:
        expected = entry["scores"]["random repeats"]["induction"]
        head = HeadLabel(entry["layer"], entry["head"], Pattern.INDUCTION, expected)
        assert score(storybook, head, texts, first_row=256) == pytest.approx(expected, abs=1e-4)


def test_repeated_words_show_an_induction_head() -> None:
    answer = attn("inspect", "Tom Thumb went to sea, and Tom Thumb went home again.", "--json")
    name = best(Pattern.INDUCTION).name
    does = "it attends to what followed an earlier copy of the token"
    why, here, _others, _favourite = answer.err.splitlines()
    assert why == f"head {name} is shown, the clearest induction head of 32: {does}"
    assert here.endswith('on average (3 rows); "went" (13) puts 0.84 of its weight on "to" (6)')
    found = answer.document
    words = [token["text"].strip() for token in found["tokens"]]
    second = max(place for place, word in enumerate(words) if word == "went")
    row = np.array(found["attention"][0]["steps"]["weights"][second])
    assert words[int(row.argmax())] == "to"
    assert row.max() > 0.5


def test_without_repetition_the_previous_token_head_is_shown() -> None:
    answer = attn("inspect", "A mouse ran up the old clock.")
    shown = f"head {best(Pattern.PREVIOUS).name} is shown, the clearest previous-token head of 32"
    why, here, _, _ = answer.err.splitlines()
    assert why == f"{shown}: each token attends to the one before it"
    assert here == "on this text it puts 0.98 of its weight there on average (10 rows)"


@pytest.mark.parametrize("text", TEXTS)
def test_transformers_loads_it_as_it_is_and_agrees(text: str, storybook: Source) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(EMBEDDED_DIRECTORY)
    model = transformers.AutoModelForCausalLM.from_pretrained(EMBEDDED_DIRECTORY, attn_implementation="eager")
    inputs = tokenizer(text, return_tensors="pt")
    tokens = storybook.tokens(text, None)
    assert [token.id for token in tokens] == inputs["input_ids"][0].tolist()
    with torch.no_grad():
        expected = model(**inputs, output_attentions=True).attentions
    for attention, theirs in zip(
        storybook.attentions(Texts(tokens), Kind.SELF, range(4)), expected, strict=True
    ):
        np.testing.assert_allclose(
            weights_of(attention), theirs[0].numpy(), atol=1e-5
        )  # float32 rounding: a tenth of it


def test_it_predicts_better_than_the_baselines() -> None:
    bits = MEASURED["bits_per_character"]
    assert bits["model"] <= 1.75
    assert bits["model"] < 0.9 * bits["bigram"] < 0.9 * bits["gzip"]


def test_card_and_page_say_what_was_measured() -> None:
    card, page = (
        (EMBEDDED_DIRECTORY / "README.md").read_text("utf-8"),
        (ROOT / "docs" / "training.md").read_text("utf-8"),
    )
    for bits in MEASURED["bits_per_character"].values():
        assert f" {bits:.3f} |" in card
        assert f" {bits:.3f} |" in page
    rows = dict(re.findall(r"^\| (\d\.\d) \| ([\w-]*) *\|", card, re.MULTILINE))
    assert rows == {f"{head['layer']}.{head['head']}": head["pattern"] or "" for head in MEASURED["heads"]}
    for pattern in (Pattern.PREVIOUS, Pattern.INDUCTION, Pattern.CURRENT, Pattern.BROAD):
        assert f"| {best(pattern).name} | {best(pattern).score:.2f} |" in page


def test_the_card_names_licence_limits_and_source() -> None:
    card = (EMBEDDED_DIRECTORY / "README.md").read_text("utf-8")
    assert all(f"## {section}" in card for section in ("Trained on", "Licence", "Limits"))
    assert re.search(r"`[0-9a-f]{64}`", card)


def test_models_lists_what_its_heads_do() -> None:
    answer = attn("models", HF_HOME="nowhere")
    head = best(Pattern.INDUCTION)
    (line,) = [line for line in answer.out.splitlines() if line.startswith("induction")]
    assert f"{head.name} {head.score:.2f}" in line
    listed = attn("models", "--json", HF_HOME="nowhere").document["embedded"]
    assert (listed["name"], listed["layers"], listed["heads"]) == (EMBEDDED, 4, 8)
    assert listed["known"][0]["score"] == max(each["score"] for each in listed["known"])


def test_a_text_that_is_too_long_for_it_is_refused() -> None:
    answer = attn("inspect", "the " * 600)
    assert answer.err.startswith("attn: the text is too long: 60")
    assert answer.status == 1
