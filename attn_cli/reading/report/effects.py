"""What each head adds to the prediction after the last token, for the map of a page."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from attn_cli.answers.report import ReportedEffects
from attn_cli.errors import AttnError
from attn_cli.models.predictions import AttributedRun, Attribution
from attn_cli.reading.effects.direct import direct_effects
from attn_cli.reading.memory import check_run_fits
from attn_cli.reading.predictions import PlaceLogits, check_logits
from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import ShownLayer, unwarned
from attn_cli.safe_text import label
from attn_cli.vocabulary import Kind

MOST_TOKENS = 1_024
"""Tokens of a text whose direct effects are computed."""


class NextEffects:
    """The direct effects on the likeliest next token, by a run of layers that the page uses too."""

    def __init__(self, reading: Reading) -> None:
        self._reading = replace(reading, kind=Kind.DECODER) if reading.source.has_decoder else reading
        self._run: AttributedRun | None = None
        self._has_run = False
        try:
            self._why = self._prepare()
        except AttnError as error:
            self._why = error.problem

    def _prepare(self) -> str:
        """Why there are no effects; empty if a run can lead to them.

        Raises:
            AttnError: it cannot, for reasons of the model, or memory is too small.
        """
        reading, source = self._reading, self._reading.source
        if source.has_decoder and not reading.texts.target:
            return "the decoder has no text (--target)"
        if len(reading.queries) > MOST_TOKENS:
            return f"the text has more than {MOST_TOKENS:,} tokens"
        effects = source.effects(reading.texts)
        if not effects.is_next:
            return f"{source.card.name} predicts masked tokens, not the next one"
        check_run_fits(reading, effects.numbers_held(0, 0), "a shorter text")
        self._run = effects.run(self._position)
        return ""

    @property
    def _position(self) -> int:
        return len(self._reading.queries) - 1

    def leads_through(self, kind: Kind) -> bool:
        """Whether the layers of this kind of attention lead to the effects."""
        return self._run is not None and kind is self._reading.kind

    def layers(self) -> Iterator[ShownLayer]:
        """The layers that lead to the effects, as they run; call it once, if there are any."""
        assert self._run is not None, "asked for only if it leads to the effects"
        for number, layer in enumerate(self._run.layers()):
            yield ShownLayer(self._reading.kind, number, layer)
        self._has_run = True

    @unwarned
    def effects(self) -> tuple[ReportedEffects | None, str]:
        """The effects, or why there are none; layers run now unless they have."""
        if self._run is None:
            return None, self._why
        try:
            if not self._has_run:
                deque(self.layers(), maxlen=0)
            return _effects(self._reading, self._run.attribution(), self._position), ""
        except AttnError as error:
            return None, error.problem


def _effects(reading: Reading, attribution: Attribution, position: int) -> ReportedEffects:
    check_logits(reading, position, attribution.logits)
    token = int(attribution.logits.argmax())
    expected = PlaceLogits(reading, position + 1, attribution.logits).prediction(token)
    after = f'after {position} "{label(reading.queries[position].text)}"'
    token_label, probability = label(expected.text), f"{expected.probability:.2g}"
    return ReportedEffects(
        f'"{token_label}" {after} (probability {probability})',
        f"{token_label} {probability}",
        direct_effects(attribution, token, None).heads,
    )
