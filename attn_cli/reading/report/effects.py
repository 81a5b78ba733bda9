"""What each head adds to the prediction after the last token, for the map of a page."""

from dataclasses import replace

from attn_cli.answers.report import ReportedEffects
from attn_cli.errors import AttnError
from attn_cli.reading.effects.direct import direct_effects
from attn_cli.reading.memory import check_run_fits
from attn_cli.reading.predictions import PlaceLogits, check_logits
from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import unwarned
from attn_cli.safe_text import label
from attn_cli.vocabulary import Kind

MOST_TOKENS = 1_024
"""Tokens of a text whose direct effects are computed: all of its layers run once more for them."""


@unwarned
def effects_on_next(reading: Reading) -> tuple[ReportedEffects | None, str]:
    """The direct effects on the likeliest next token, or why there are none."""
    source = reading.source
    if source.has_decoder and not reading.texts.target:
        return None, "the decoder has no text (--target)"
    side = replace(reading, kind=Kind.DECODER) if source.has_decoder else reading
    if len(side.queries) > MOST_TOKENS:
        return None, f"the text has more than {MOST_TOKENS:,} tokens"
    try:
        effects = source.effects(side.texts)
        if not effects.is_next:
            return None, f"{source.card.name} predicts masked tokens, not the next one"
        check_run_fits(side, effects.numbers_held(0, 0), "a shorter text")
        return _effects(side, len(side.queries) - 1), ""
    except AttnError as error:
        return None, error.problem


def _effects(reading: Reading, position: int) -> ReportedEffects:
    attribution = reading.source.effects(reading.texts).attribution(position)
    check_logits(reading, position, attribution.logits)
    token = int(attribution.logits.argmax())
    expected = PlaceLogits(reading, position + 1, attribution.logits).prediction(token)
    after = f'after {position} "{label(reading.queries[position].text)}"'
    prediction = f'"{label(expected.text)}" {after} (probability {expected.probability:.2g})'
    return ReportedEffects(prediction, direct_effects(attribution, token, None).heads)
