"""What native models expect next, and at a masked token, compared with transformers' own heads."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import transformers

from attn_cli.models.backend import Backend
from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.native.language_head.prediction import NativeHead
from attn_cli.models.native.spec import Part
from attn_cli.models.open import open_checkpoint
from tests.support.language_models import (
    MASKED,
    NEXT,
    TARGETED,
    all_rows,
    apart,
    reference_logits,
    texts_of,
)
from tests.support.reference import NUMPY
from tests.support.twins import TEXTS

pytestmark = pytest.mark.slow  # a twin of each family beside transformers

TWINS = {**NEXT, **{f"{name}, masked": recipe for name, recipe in MASKED.items()}, **TARGETED}
CLOSE = 1e-4  # of the largest logit; the largest difference seen is 9e-6
FARTHER = 10 * CLOSE  # what a missing term must cause


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    found: dict[str, Path] = {}

    def directory(name: str) -> Path:
        if name not in found:
            try:
                found[name] = TWINS[name].save(tmp_path_factory.mktemp("head"))
            except AttributeError as error:  # DeBERTa's head as it was trained, in transformers 5.2
                pytest.skip(f"transformers {transformers.__version__} cannot build it: {error}")
        return found[name]

    return directory


def opened(directory: Path, backend: Backend) -> Checkpoint:
    source = open_checkpoint("twin", directory, backend)
    assert isinstance(source, Checkpoint)
    return source


@pytest.mark.parametrize("name", TWINS)
def test_the_logits_are_those_of_transformers(
    name: str, saved: Callable[[str], Path], backend: Backend
) -> None:
    source = opened(saved(name), backend)
    texts = texts_of(source, TEXTS[0], TEXTS[1])
    expected = reference_logits(saved(name), TWINS[name].model, texts)
    found = source.predictor(texts).logits(all_rows(texts))
    assert found.shape == expected.shape
    assert apart(found, expected) < CLOSE
    assert expected.std() > 1  # flat logits would pass with a broken head


def mutated(name: str, saved: Callable[[str], Path], change: Callable[[NativeHead], NativeHead]) -> float:
    """How far the logits are from those of transformers after a change."""
    source = opened(saved(name), NUMPY)
    texts = texts_of(source, TEXTS[0], TEXTS[1])
    found = source.predictor(texts)
    predictor = replace(found, head=change(found.head))
    return apart(predictor.logits(all_rows(texts)), reference_logits(saved(name), TWINS[name].model, texts))


def in_spec(**values: Any) -> Callable[[NativeHead], NativeHead]:
    return lambda found: replace(found, model=replace(found.model, spec=replace(found.model.spec, **values)))


def in_head(**values: Any) -> Callable[[NativeHead], NativeHead]:
    return lambda found: replace(found, known=replace(found.known, head=replace(found.known.head, **values)))


def in_known(**values: Any) -> Callable[[NativeHead], NativeHead]:
    return lambda found: replace(found, known=replace(found.known, **values))


def unbiased(part: Part | None) -> Part:
    assert part is not None
    return replace(part, has_bias=False)


# What a head has and another lacks, taken away: the twin must notice, or the test above proves nothing.
WITHOUT: dict[str, tuple[tuple[str, ...], Callable[[NativeHead], NativeHead]]] = {
    "the final norm": (
        (
            *("gpt2", "llama", "gpt_neo", "gpt_neox", "gptj", "opt", "bloom", "mistral", "qwen2", "qwen3"),
            *("gemma", "gemma2, no cap", "gemma3_text", "phi", "phi3", "olmo2", "smollm3", "granite"),
            *("t5", "modernbert, masked"),
        ),
        in_spec(final_norm=None),
    ),
    "the offset of the final gain": (("gemma", "gemma2", "gemma3_text"), in_spec(gain_offset=0.0)),
    "the bias of the matrix": (
        (
            *("gptj", "phi", "phi, tied", "bert, decoder", "bert, masked", "bert, untied, masked"),
            *("roberta, masked", "distilbert, masked", "electra, masked", "albert, masked", "mpnet, masked"),
            *("deberta-v2, masked", "deberta-v2, as trained, masked", "modernbert, masked"),
        ),
        in_known(bias=None),
    ),
    "the bias of the logits": (("bart", "bart, untied", "marian"), in_head(added_bias=None)),
    "the soft cap": (("gemma2", "gemma2, a low cap", "gemma3_text, a cap"), in_head(softcap=None)),
    "the scale": (("granite", "granite, tied", "t5"), in_head(scale=1.0)),
    "the activation": (
        ("bert, masked", "roberta, masked", "distilbert, masked", "electra, masked", "modernbert, masked"),
        in_head(activation=None),
    ),
    "the activation by the config": (
        ("bert, pretraining, masked", "distilbert, masked", "modernbert, biases, masked"),
        in_head(activation="gelu"),
    ),
    "the norm of the head": (
        ("bert, masked", "roberta, masked", "albert, masked", "mpnet, masked", "modernbert, masked"),
        in_head(norm=None),
    ),
    "the bias of the head's linear layer": (
        ("bert, masked", "modernbert, biases, masked"),
        lambda found: in_head(transform=unbiased(found.known.head.transform))(found),
    ),
}


@pytest.mark.parametrize(
    ("term", "name"), [(term, name) for term, (names, _) in WITHOUT.items() for name in names]
)
def test_a_term_that_is_missing_is_noticed(term: str, name: str, saved: Callable[[str], Path]) -> None:
    assert mutated(name, saved, WITHOUT[term][1]) > FARTHER


@pytest.mark.parametrize(
    ("name", "tied"),
    [
        ("gpt2, untied", "wte"),
        ("llama", "embed_tokens"),
        ("gemma, untied", "embed_tokens"),
        ("bert, untied, masked", "embeddings.word_embeddings"),
        ("bart, untied", "shared"),
    ],
)
def test_a_head_of_its_own_is_not_the_embeddings(name: str, tied: str, saved: Callable[[str], Path]) -> None:
    assert mutated(name, saved, in_known(matrix=tied)) > FARTHER
