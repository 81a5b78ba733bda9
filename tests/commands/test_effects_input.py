"""`attn effects`: which heads are listed, which side of a model predicts, and what is bad input."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.show import data
from tests.models.tokens.test_slow import APART, translator
from tests.support.families import FAMILIES
from tests.support.language_models import MASKED, NEXT, TARGETED
from tests.support.worlds import attn, attn_in_terminal, refused

STORY = "Tom Thumb went to sea, and Tom Thumb went home again, and Tom"
ZERO = ("--ablate", "zero")


def document(*arguments: str | Path) -> dict[str, Any]:
    found = attn("effects", *arguments, "--json")
    assert found.status == 0, found.err
    jsonschema.validate(found.document, json.loads(data.schema()))
    return found.document


def places(entries: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(entry["layer"], entry["head"]) for entry in entries]


def listed(out: str) -> list[str]:
    """The heads of the table."""
    lines = out.split("\nhead ")[1].splitlines()
    return [line.split()[0] for line in lines if line[:1].isdigit() and "together" not in line]


Holds = Callable[[dict[str, Any], dict[str, Any]], bool]
FIELDS: dict[str, Holds] = {
    "direct>0.3": lambda direct, _: direct["effect"] > 0.3,
    "direct<=-0.1": lambda direct, _: direct["effect"] <= -0.1,
    "logit<-1": lambda _, change: change["logit"] < -1,
    "probability>=0.01": lambda _, change: change["probability"] >= 0.01,
    "KL>0.5": lambda _, change: change["divergence"] > 0.5,
    "layer=2": lambda direct, _: direct["layer"] == 2,
    "head!=6": lambda direct, _: direct["head"] != 6,
}


@pytest.fixture(scope="module")
def everything() -> dict[str, Any]:
    return document(STORY, *ZERO)


@pytest.mark.parametrize("condition", FIELDS)
def test_a_condition_on_any_number_selects_heads(condition: str, everything: dict[str, Any]) -> None:
    pairs = zip(everything["direct"]["heads"], everything["ablation"]["heads"], strict=True)
    expected = places([direct for direct, change in pairs if FIELDS[condition](direct, change)])
    assert 0 < len(expected) < 32
    found = document(STORY, *ZERO, "--where", condition, "--edges", "999")
    assert places(found["ablation"]["heads"]) == expected
    assert set(places(found["edges"])) == set(expected)
    assert found["direct"] == everything["direct"]  # all of it adds up to the logit
    out = attn("effects", STORY, *ZERO, "--where", condition, "--top", "0").out
    assert sorted(listed(out)) == [f"{layer}.{head}" for layer, head in expected]


def test_heads_of_a_pattern_alone_are_switched_off() -> None:
    found = document(STORY, *ZERO, "--where", "pattern=induction")
    assert places(found["ablation"]["heads"]) == [(2, 6), (2, 7)]
    named, unnamed = (
        places(document(STORY, *ZERO, "--where", f"pattern{sign}none")["ablation"]["heads"])
        for sign in ("!=", "=")
    )
    assert sorted([*named, *unnamed]) == [(layer, head) for layer in range(4) for head in range(8)]
    assert (2, 6) in named


def test_all_conditions_hold_for_records_too(tmp_path: Path) -> None:
    both = ("--where", "direct>0.3", "--where", "layer<3")
    assert attn("effects", STORY, *both, "-o", tmp_path / "a.csv").status == 0
    lines = (tmp_path / "a.csv").read_text().splitlines()[1:]
    assert [line.split(",")[1:3] for line in lines] == [["2", "6"], ["2", "7"]]


def test_chosen_heads_are_switched_off_together_whatever_is_listed() -> None:
    every = document(STORY, *ZERO, "--heads", "2.6,2.7,0.2")["ablation"]["together"]
    listed_alone = ("--heads", "2.6,2.7,0.2", "--where", "direct>3", "--where", "pattern=induction")
    found = attn("effects", STORY, *ZERO, *listed_alone)
    assert listed(found.out) == ["2.7"]
    assert "0.2, 2.6, 2.7 together: logit" in found.out
    together = document(STORY, *ZERO, *listed_alone)["ablation"]["together"]
    assert together == pytest.approx(every, abs=1e-4)  # in a batch of another size


def test_no_head_that_meets_the_conditions_is_said() -> None:
    for condition in ("direct>99", "layer>9"):
        found = attn("effects", STORY, *ZERO, "--where", condition)
        assert found.status == 0
        assert "no head meets all --where conditions" in found.err
        assert "\nhead " not in found.out
        of_json = attn("effects", STORY, *ZERO, "--where", condition, "--json")
        assert "no head meets all --where conditions" in of_json.err
        assert of_json.document["ablation"]["heads"] == of_json.document["edges"] == []


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        (
            ("--where", "KL>1"),
            "--where 'KL>1' is about what changes without a head, and none is switched off",
            "--ablate zero",
        ),
        (
            ("--where", "effect>1"),
            "unknown field 'effect' in 'effect>1'",
            "one of direct, logit, probability, KL, layer, head, pattern",
        ),
        (("--where", "dirct>1"), "unknown field 'dirct' in 'dirct>1'", '--where "direct>1"'),
        (
            ("--where", "direct"),
            "'direct' is not a condition",
            '--where "direct>1", "KL>=0.1" or "pattern=induction"',
        ),
        (
            ("--where", "direct>nan"),
            "'nan' in 'direct>nan' is not a number",
            '--where "direct>1", "KL>=0.1" or "pattern=induction"',
        ),
        (
            ("--where", "pattern=inducton"),
            "unknown pattern 'inducton' in 'pattern=inducton'",
            '--where "pattern=induction"',
        ),
        (
            ("--where", "pattern>induction"),
            "patterns have no order: 'pattern>induction'",
            '--where "pattern=broad"',
        ),
        (("--rollout", "--where", "direct>1"), "--where does not apply to --rollout", "leave --where out"),
        (("--kind", "encoder"), "storybook has no encoder attention: it has self", "--kind self"),
        (("--kind", "decoder"), "storybook has no decoder attention: it has self", "--kind self"),
        (("--target", "x"), "storybook has no decoder, so it takes no --target", "leave out --target"),
        (
            ("--position", "-20"),
            "position -20 does not exist: the text has 19 tokens, numbered 0 to 18",
            None,
        ),
        (
            ("--position", "1-3"),
            "--position takes one token, and '1-3' selects 3: 1 'T', 2 'om', 3 'Th'",
            None,
        ),
        (
            ("--against", " Thumb"),
            "--against takes one token of storybook: ' Thumb' is 2, ' Th', 'umb'",
            None,
        ),
    ],
)
def test_what_cannot_be_selected_is_refused(words: tuple[str, ...], problem: str, hint: str | None) -> None:
    status, found, tried = refused(attn("effects", STORY, *words))
    assert (status, found) == (2, problem)
    assert hint is None or tried == hint


def test_a_pattern_is_no_condition_where_heads_are_known_for_none(tmp_path: Path) -> None:
    NEXT["gpt2"].save(tmp_path)
    found = refused(attn("effects", "the cat sat", "-m", tmp_path, "--where", "pattern=induction"))
    problem = f"the heads of {tmp_path.name} are known for no pattern"
    assert found == (2, problem, "attn heads --probe names them first")


def test_a_direct_effect_is_no_condition_where_none_adds_up(tmp_path: Path) -> None:
    MASKED["bert"].save(tmp_path)
    line = ("the cat [MASK] on the mat", "-m", tmp_path, *ZERO)
    found = refused(attn("effects", *line, "--where", "direct>1"))
    problem = "--where is about direct effects, and this model has none that add up to its logits"
    assert found == (2, problem, '--where "logit<0"')
    assert attn("effects", *line, "--where", "logit<0").status == 0


def test_effects_are_those_of_the_decoders_side(tmp_path: Path) -> None:
    TARGETED["t5"].save(tmp_path)
    line = ("the cat sat", "--target", "the mat", "-m", tmp_path)
    whole = document(*line)
    assert document(*line, "--kind", "decoder") == whole
    for kind in ("encoder", "cross"):
        problem = f"--kind {kind} does not apply: effects are those of all decoder and cross heads"
        assert refused(attn("effects", *line, "--kind", kind)) == (2, problem, "leave out --kind")
    assert refused(attn("effects", *line, "--kind", "self"))[0] == 2


@pytest.mark.parametrize("name", ["t5", "marian"])
def test_without_a_text_the_decoder_reads_its_start_token(name: str, tmp_path: Path) -> None:
    """As `attn tokens --predict` does."""
    TARGETED[name].save(tmp_path)
    ours = document("the cat sat", "-m", tmp_path, *ZERO)
    theirs = attn("tokens", "the cat sat", "-m", tmp_path, "--predict", "5", "--json").document
    assert ours["position"] == 0
    assert len(ours["target_tokens"]) == 1
    first = [(each["id"], each["logit"]) for each in theirs["predictions"] if each["position"] == 0][:5]
    assert [(each["id"], pytest.approx(each["logit"])) for each in ours["predictions"]] == first


def test_a_token_is_found_with_the_decoders_own_tokenizer(tmp_path: Path) -> None:
    translator(tmp_path, separate=True, **APART)
    source = open_source(SourceRequest(model=str(tmp_path)))
    french = "le chat dormait"
    split = [token.text for token in source.target_tokens(french)[1:]]
    english = [token.text for token in source.tokens(french, None) if not token.special]
    assert split != english
    _, problem, hint = refused(attn("effects", "the cat", "-m", tmp_path, *ZERO, "--token", french))
    pieces = ", ".join(f"'{piece}'" for piece in split[:6])
    assert problem.startswith(
        f"--token takes one token of {tmp_path.name}: '{french}' is {len(split)}, {pieces}"
    )
    assert hint == f'--token "{split[0]}"'


def test_a_line_of_looks_breaks_in_no_token() -> None:
    for width in range(30, 80):
        out = attn_in_terminal("effects", STORY, COLUMNS=str(width)).out
        looks = out.split("= logit 8.6386\n")[1].split("\n\n")[0]
        assert looks.count("looks") == 5
        for line in looks.splitlines():
            assert line.count('"') % 2 == 0, line


def test_models_without_a_language_head_have_no_effects(tmp_path: Path) -> None:
    FAMILIES["gpt_neo"].save(tmp_path)
    model = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(model | {"tie_word_embeddings": False}))
    status, problem, _ = refused(attn("effects", "the cat sat", "-m", tmp_path))
    assert status == 1
    assert "has no language head" in problem


def spoil(directory: Path, name: str, row: int, number: float) -> None:
    """Put a number into a row of a tensor of a saved twin."""
    path = directory / "model.safetensors"
    tensors = load_file(path)
    tensors[name][row, 0] = number
    save_file(tensors, path, {"format": "pt"})


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("words", [(), ZERO])
def test_damaged_weights_are_reported(number: float, words: tuple[str, ...], tmp_path: Path) -> None:
    NEXT["gpt2, untied"].save(tmp_path)
    spoil(tmp_path, "transformer.h.1.attn.c_proj.weight", 3, number)
    status, problem, _ = refused(attn("effects", "the cat sat", "-m", tmp_path, *words))
    assert status == 1
    assert problem == f"not a finite number in the logits of {tmp_path.name} at token 2: nan"


def test_a_damaged_token_of_the_other_text_is_reported(tmp_path: Path) -> None:
    NEXT["gpt2, untied"].save(tmp_path)
    source = open_source(SourceRequest(model=str(tmp_path)))
    other = source.tokens("the dog sat", None)
    here = {token.id for token in source.tokens("the cat sat", None)}
    only_there = next(token.id for token in other if token.id not in here)
    spoil(tmp_path, "transformer.wte.weight", only_there, np.nan)
    status, problem, _ = refused(
        attn("effects", "the cat sat", "-m", tmp_path, "--ablate", "mean", "--other", "the dog sat")
    )
    assert status == 1
    assert "logits without self head 0.0" in problem
