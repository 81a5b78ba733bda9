"""How models of the bridge go on with a text: with transformers' own `generate`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attn_cli.core.arrays import Floats, to_numpy
from attn_cli.errors import AttnError
from attn_cli.models.generation.sampling import Sampling, likeliest
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import NextToken, Source, Texts
from attn_cli.vocabulary import Kind, Step
from tests.support.every_language_model import language_twin, twin_texts
from tests.support.reference import NUMPY

pytestmark = pytest.mark.slow  # transformers' models

COUNT = 12
TYPES = ("cohere", "falcon", "mpt", "gpt_bigcode", "stablelm", "mixtral", "mbart", "prophetnet")
WINDOWED = ("cohere2", "gpt_neo", "starcoder2", "gpt_oss")


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


@pytest.mark.parametrize("kind", [*TYPES, *WINDOWED])
def test_the_rows_that_are_watched_are_those_of_one_pass(kind: str, tmp_path: Path) -> None:
    source, texts, expected = opened(kind, tmp_path)
    source.check_generation(is_watched=True)
    of_encoder = Kind.ENCODER in source.kinds
    for kind_of, extent in source.kinds.items():
        if kind_of is Kind.ENCODER:
            continue
        for layer in extent.layers:
            rows: list[Floats] = []

            def choose(after: NextToken, rows: list[Floats] = rows) -> int:
                watched = after.watched
                assert watched is not None
                weights = watched.layer.steps(range(watched.layer.heads), [Step.WEIGHTS])[Step.WEIGHTS]
                before = ((0, 0), (0, 0), (watched.first_key, 0))
                rows.append(np.pad(to_numpy(weights), before)[:, -1])
                return likeliest(after.logits)

            assert source.generate(texts, COUNT, choose, (kind_of, layer)) == expected
            whole = with_ids(texts, expected[:-1], of_encoder=of_encoder)
            (once,) = source.attentions(whole, kind_of, [layer])
            weights = to_numpy(once.steps(range(once.heads), [Step.WEIGHTS])[Step.WEIGHTS])
            assert len(rows) == len(expected)
            for back, row in enumerate(reversed(rows), start=1):
                found = weights[:, -back]
                np.testing.assert_allclose(row, found[:, : row.shape[-1]], atol=1e-5)
                assert not found[:, row.shape[-1] :].any()
            assert max(row.max() for row in rows) > 0.15  # some head is far from uniform


def with_ids(texts: Texts, ids: tuple[int, ...], *, of_encoder: bool) -> Texts:
    """The texts with tokens after the one that goes on."""
    before = texts.target if of_encoder else texts.tokens
    new = tuple(replace(before[-1], position=len(before) + at, id=each) for at, each in enumerate(ids))
    return Texts(texts.tokens, (*before, *new)) if of_encoder else Texts((*before, *new))
