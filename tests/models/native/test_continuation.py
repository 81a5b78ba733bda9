"""How native models go on with a text, compared with transformers' greedy generation, and with one pass."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from attn_cli.core.arrays import Floats, to_numpy
from attn_cli.models.backend import Backend, choose_backend
from attn_cli.models.generation.sampling import likeliest
from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.source import NextToken, Texts
from attn_cli.vocabulary import DType, Kind, Step
from tests.support.language_models import NEXT, TARGETED, HeadRecipe
from tests.support.saved_twins import Saved, opened, saving
from tests.support.twins import TEXTS

pytestmark = pytest.mark.slow  # a twin of each family beside transformers

TURNED = {
    "llama, dynamic": HeadRecipe("LlamaForCausalLM", "llama, dynamic"),
    "phi3, a part turns": HeadRecipe(
        "Phi3ForCausalLM", "phi3, a part turns", {"original_max_position_embeddings": 24}
    ),
}
"""Those that rotate every token in another way once the text is long."""

TWINS = {**NEXT, **TARGETED, **TURNED}
COUNT = 24
CLOSE = 1e-9  # of weights between 0 and 1 in float64; in float32 a peaked twin has errors of 1e-5
FLAT = {"gemma2, a low cap"}  # many logits round to the cap itself, and which of them differs by library


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return saving(TWINS, tmp_path_factory)


def beginning(source: Checkpoint, text: str) -> Texts:
    return Texts(source.tokens(text, None), source.target_tokens("")[:1] if source.has_decoder else ())


def greedy(directory: Path, model: str, texts: Texts, count: int, **how: Any) -> tuple[int, ...]:
    """The ids that transformers' own greedy search adds."""
    loaded = getattr(transformers, model).from_pretrained(directory, dtype=torch.float32).eval()
    ids = torch.tensor([[token.id for token in texts.tokens]])
    options = {"max_new_tokens": count, "do_sample": False, "num_beams": 1} | how
    found = loaded.generate(ids, attention_mask=torch.ones_like(ids), **options)[0].tolist()
    return tuple(found[len(texts.target or texts.tokens) :])


@dataclass
class Watch:
    """Takes the likeliest token, and keeps the last row of weights of the layer that is watched."""

    rows: list[Floats]

    def __call__(self, after: NextToken) -> int:
        assert after.watched is not None
        heads = range(after.watched.layer.heads)
        self.rows.append(to_numpy(after.watched.layer.steps(heads, [Step.WEIGHTS])[Step.WEIGHTS])[:, -1])
        return likeliest(after.logits)


@pytest.mark.parametrize("name", sorted({*NEXT, *TARGETED} - FLAT))
def test_the_tokens_are_those_of_transformers(name: str, saved: Saved, backend: Backend) -> None:
    source = opened(saved(name), backend)
    for text in TEXTS[:2]:
        texts = beginning(source, text)
        new = source.generate(texts, COUNT, lambda after: likeliest(after.logits))
        assert new == greedy(saved(name), TWINS[name].model, texts, COUNT)


@pytest.mark.parametrize("name", TURNED)
def test_a_text_that_becomes_long_is_rotated_anew(name: str, saved: Saved, backend: Backend) -> None:
    source = opened(saved(name), backend)
    texts = beginning(source, TEXTS[1][:12])
    new = source.generate(texts, COUNT, lambda after: likeliest(after.logits))
    assert new == greedy(saved(name), TWINS[name].model, texts, COUNT, use_cache=False)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, Kind.SELF) for name in NEXT),
        *((name, kind) for name in TARGETED for kind in (Kind.DECODER, Kind.CROSS)),
    ],
)
def test_the_rows_of_new_tokens_are_those_of_one_pass(name: str, kind: Kind, saved: Saved) -> None:
    source = opened(saved(name), choose_backend("cpu", DType.FLOAT64))
    texts = beginning(source, TEXTS[0])
    for layer in source.kinds[kind].layers:
        watch = Watch([])
        new = source.generate(texts, COUNT, watch, (kind, layer))
        (whole,) = source.attentions(extended(texts, new), kind, [layer])
        weights = to_numpy(whole.steps(range(whole.heads), [Step.WEIGHTS])[Step.WEIGHTS])
        first = len(texts.queries(kind)) - 1
        for place, row in enumerate(watch.rows, first):
            padded = np.zeros_like(weights[:, place])
            padded[:, : row.shape[-1]] = row
            np.testing.assert_allclose(padded, weights[:, place], atol=CLOSE)


def extended(texts: Texts, new: tuple[int, ...]) -> Texts:
    """The texts with the new tokens."""
    end = (texts.target or texts.tokens)[-1]
    more = tuple(replace(end, position=end.position + place, id=index) for place, index in enumerate(new, 1))
    return Texts(texts.tokens, texts.target + more) if texts.target else Texts(texts.tokens + more)
