"""How models of the bridge go on with a text: with transformers' own `generate`."""

from pathlib import Path

import pytest
import torch

from attn_cli.errors import AttnError
from attn_cli.models.generation.sampling import Sampling, likeliest
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Source, Texts
from tests.support.every_language_model import language_twin, twin_texts
from tests.support.reference import NUMPY

pytestmark = pytest.mark.slow  # transformers' models

COUNT = 12
TYPES = ("cohere", "falcon", "mpt", "gpt_bigcode", "stablelm", "mixtral", "mbart", "prophetnet")


def opened(kind: str, directory: Path) -> tuple[Source, Texts, tuple[int, ...]]:
    """The twin, what it reads, and the tokens that transformers' greedy search adds."""
    model = language_twin(kind, directory)
    source, texts = open_checkpoint("twin", directory, NUMPY), twin_texts(model)
    given = {"input_ids": torch.tensor([[token.id for token in texts.tokens]])}
    if texts.target:
        texts = Texts(texts.tokens, texts.target[:1])
        given["decoder_input_ids"] = torch.tensor([[token.id for token in texts.target]])
    found = model.generate(**given, max_new_tokens=COUNT, do_sample=False, num_beams=1)[0].tolist()
    return source, texts, tuple(found[len(texts.target or texts.tokens) :])


@pytest.mark.parametrize("kind", TYPES)
def test_the_tokens_are_those_of_generate(kind: str, tmp_path: Path) -> None:
    source, texts, expected = opened(kind, tmp_path)
    source.check_generation()
    assert source.engine == "transformers"
    assert source.generate(texts, COUNT, lambda after: likeliest(after.logits)) == expected


def test_tokens_are_drawn_with_a_seed(tmp_path: Path) -> None:
    source, texts, likeliest_ones = opened("cohere", tmp_path)

    def drawn(seed: int) -> tuple[int, ...]:
        choose = Sampling(temperature=2.0, seed=seed).chooser()
        return source.generate(texts, COUNT, lambda after: choose(after.logits))

    assert drawn(1) == drawn(1)
    assert len({drawn(1), drawn(2), likeliest_ones}) > 2


def test_a_model_that_fills_in_masked_tokens_is_refused(tmp_path: Path) -> None:
    language_twin("ernie", tmp_path)
    source = open_checkpoint("twin", tmp_path, NUMPY)
    with pytest.raises(AttnError, match="twin does not go on with a text: it fills in masked tokens"):
        source.check_generation()


def test_a_layer_cannot_be_watched(tmp_path: Path) -> None:
    language_twin("cohere", tmp_path)
    source = open_checkpoint("twin", tmp_path, NUMPY)
    with pytest.raises(AttnError, match="where twin looks while it writes is not known"):
        source.check_generation(is_watched=True)
