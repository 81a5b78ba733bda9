"""What a checkpoint says of generation: end tokens, and rules, compared with transformers' own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from attn_cli.errors import AttnError
from attn_cli.models.files.config import Config
from attn_cli.models.generation.sampling import likeliest
from attn_cli.models.generation.settings import GenerationSettings, read_settings
from attn_cli.models.native.families import native_families
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Texts
from tests.support.language_models import NEXT, TARGETED, HeadRecipe
from tests.support.reference import NUMPY
from tests.support.twins import TEXTS

COUNT = 24


def settings(directory: Path, values: dict[str, Any]) -> GenerationSettings:
    return read_settings(directory, Config(values, directory / "config.json"))


def save(directory: Path, **values: Any) -> None:
    (directory / "generation_config.json").write_text(json.dumps(values))


def test_the_file_says_which_tokens_end_a_text(tmp_path: Path) -> None:
    save(tmp_path, eos_token_id=[3, 5])
    assert settings(tmp_path, {"eos_token_id": 7}).ends == (3, 5)


def test_without_the_file_the_configuration_says_it(tmp_path: Path) -> None:
    assert settings(tmp_path, {"eos_token_id": 7}).ends == (7,)
    assert settings(tmp_path, {"model_type": "llama", "eos_token_id": None}).ends == ()
    assert settings(tmp_path, {"model_type": "gemma3", "text_config": {"eos_token_id": 9}}).ends == (9,)


def test_a_file_without_an_end_token_ends_no_text(tmp_path: Path) -> None:
    save(tmp_path, do_sample=True)
    assert settings(tmp_path, {"eos_token_id": 7}).ends == ()


@pytest.mark.parametrize("kind", [name for name in native_families() if "_v2" not in name])
def test_the_end_tokens_of_a_bare_configuration_are_those_of_its_class(kind: str, tmp_path: Path) -> None:
    kind = kind.replace("xlm_roberta", "xlm-roberta")
    config = transformers.AutoConfig.for_model(kind)
    theirs = transformers.GenerationConfig.from_model_config(config)
    ours = settings(tmp_path, {"model_type": kind})
    if kind in {"albert", "camembert", "electra", "modernbert", "mpnet", "xlm-roberta"}:
        return  # they go on with no text, as they see both sides
    assert ours.ends == (() if theirs.eos_token_id is None else (theirs.eos_token_id,))
    assert ours.forced_last == (() if theirs.forced_eos_token_id is None else (theirs.forced_eos_token_id,))


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("eos_token_id", "</s>", "a token id or a list of them"),
        ("eos_token_id", [1, True], "a token id or a list of them"),
        ("bad_words_ids", [5], "a list of lists of token ids"),
        ("repetition_penalty", 0, "a number greater than 0"),
        ("min_length", -1, "a whole number"),
    ],
)
def test_values_that_cannot_be_used_are_refused(name: str, value: object, what: str, tmp_path: Path) -> None:
    save(tmp_path, **{name: value})
    with pytest.raises(AttnError, match=f"says {name} is .*, which is not {what}"):
        settings(tmp_path, {})


def test_a_rule_that_is_not_applied_is_named(tmp_path: Path) -> None:
    save(tmp_path, exponential_decay_length_penalty=[5, 1.1], guidance_scale=1)
    (remark,) = settings(tmp_path, {}).remarks
    assert remark == (
        "generation_config.json sets exponential_decay_length_penalty, which is not applied: transformers "
        "may go on differently"
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    found: dict[str, Path] = {}

    def directory(name: str) -> Path:
        if name not in found:
            found[name] = {**NEXT, **TARGETED}[name].save(tmp_path_factory.mktemp("ruled"))
        return found[name]

    return directory


def both(directory: Path, recipe: HeadRecipe, text: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens that we add, and those that transformers adds."""
    source = open_checkpoint("twin", directory, NUMPY)
    tokens = source.tokens(text, None)
    texts = Texts(tokens, source.target_tokens("")[:1] if source.has_decoder else ())
    ours = source.generate(texts, COUNT, lambda after: likeliest(after.logits))
    model = getattr(transformers, recipe.model).from_pretrained(directory, dtype=torch.float32)
    ids = torch.tensor([[token.id for token in tokens]])
    theirs = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=COUNT, do_sample=False, num_beams=1
    )[0].tolist()
    return ours, tuple(theirs[len(texts.target or tokens) :])


def rules(first: tuple[int, ...], fewest: int) -> list[dict[str, Any]]:
    """Rules that change a text that goes on with these tokens; `fewest` are more than it has before them."""
    return [
        {"repetition_penalty": 1.8},
        {"repetition_penalty": 4.0},
        {"no_repeat_ngram_size": 1},
        {"no_repeat_ngram_size": 2},
        {"bad_words_ids": [[first[0]], list(first[3:5])]},
        {"suppress_tokens": list(first[:2])},
        {"begin_suppress_tokens": [first[0]]},
        {"eos_token_id": [first[5], 299]},
        {"eos_token_id": first[5], "min_new_tokens": 12},
        {"eos_token_id": first[5], "min_length": fewest},
        {"eos_token_id": first[5], "bad_words_ids": [[first[5]]]},
        {"forced_eos_token_id": 41},
        {"forced_bos_token_id": 42},
        {"forced_bos_token_id": 42, "begin_suppress_tokens": [first[0], first[1]]},
    ]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(rules((0,) * 9, 0))))
@pytest.mark.parametrize("name", ["gpt2", "bart"])
def test_rules_are_applied_as_transformers_applies_them(
    name: str, number: int, saved: Callable[[str], Path]
) -> None:
    directory, recipe = saved(name), {**NEXT, **TARGETED}[name]
    usual = {"decoder_start_token_id": 2} if name == "bart" else {}
    save(directory, **usual)
    plain, _ = both(directory, recipe, TEXTS[0])
    rule = rules(plain, 12 if name == "bart" else 40)[number]
    save(directory, **usual, **rule)
    ours, theirs = both(directory, recipe, TEXTS[0])
    assert ours == theirs
    if not (name == "gpt2" and "forced_bos_token_id" in rule):  # it is of a text of one token
        assert ours != plain, "a rule without effect tests nothing"
