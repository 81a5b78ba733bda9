"""A text that transformers' own `generate` goes on with, each token chosen as elsewhere."""

from contextlib import nullcontext

import torch  # 1.7 s: imported only by modules that need it anyway
import transformers

from attn_cli.core.arrays import to_numpy
from attn_cli.models.bridge.exact_numbers import exact_numbers
from attn_cli.models.bridge.hf_models import inputs_of
from attn_cli.models.bridge.language_head.prediction import BridgePredictor, LanguageModel
from attn_cli.models.bridge.language_head.watching import WatchedAttention, WatchedPlaces
from attn_cli.models.generation.refusal import no_continuation
from attn_cli.models.hf_errors import translated_errors
from attn_cli.models.source import Choice, NextToken, Texts


def generated(
    whole: LanguageModel,
    texts: Texts,
    most: int,
    choose: Choice,
    places: WatchedPlaces | None = None,
    *,
    is_exact: bool,
) -> tuple[int, ...]:
    """The ids of at most `most` tokens; the rules of the checkpoint and its end tokens are transformers'.

    `places` is a layer of whose attention `choose` is told.

    Raises:
        AttnError: the model does not go on with texts, or the layer cannot be watched.
    """
    model = whole.model
    if not model.can_generate():
        raise no_continuation(whole.name, f"transformers generates no text with {type(model).__name__}")
    BridgePredictor(whole, texts, is_exact).check_order()
    ids, segments = ([getattr(token, name) for token in texts.tokens] for name in ("id", "segment"))
    inputs = inputs_of(model, ids, segments, [token.id for token in texts.target])
    inputs.pop("use_cache", None)
    whole.tables.restore()
    sizes = len(texts.tokens) if texts.target else 0, len(texts.target or texts.tokens)
    watched = None if places is None else WatchedAttention(places, sizes, most)
    processors = transformers.LogitsProcessorList([_Choosing(choose, watched)])
    with (
        translated_errors(f"transformers cannot go on with a text with {whole.name}"),
        torch.no_grad(),
        exact_numbers(is_wanted=is_exact),
        nullcontext() if watched is None else watched.watching(model),
    ):
        found = model.generate(
            **inputs, max_new_tokens=most, do_sample=False, num_beams=1, logits_processor=processors
        )
    read = len(texts.target or texts.tokens)
    return tuple(found[0, read:].tolist())


class _Choosing(transformers.LogitsProcessor):
    """Leaves one token to choose from."""

    def __init__(self, choose: Choice, watched: WatchedAttention | None) -> None:
        self._choose, self._watched = choose, watched

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(1, V) the logits, of which all but that of the chosen token are -inf."""
        layer = None if self._watched is None else self._watched.now(ids.shape[-1])
        chosen = self._choose(NextToken(to_numpy(scores[0]), layer))
        alone = torch.full_like(scores, -torch.inf)
        alone[:, chosen] = 0
        return alone
