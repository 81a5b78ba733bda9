"""`attn heads --probe`, and the names that later commands take from it."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from attn_cli.show import data
from attn_cli.vocabulary import Distance, Metric, Pattern
from tests.support.every_type import save_twin
from tests.support.families import TRANSLATORS
from tests.support.worlds import Answer, attn, refused

THE_DOG = "The dog saw the cat and the bird."
KEPT = "attn heads and attn inspect take the names of heads from this probe from now on"
SEQUENCES = "4 sequences of 50 to 62 random tokens, each twice, seeds 0 to 3: 224 rows"


@pytest.fixture
def cache(tmp_path: Path) -> str:
    return str(tmp_path / "cache")


def patterns(answer: Answer) -> dict[str, Any]:
    """The patterns of each head, by its name."""
    return {f"{head['layer']}.{head['head']}": head["patterns"] for head in answer.document["heads"]}


def names(answer: Answer) -> dict[str, str]:
    """The heads with a name."""
    heads = answer.document["heads"]
    return {f"{head['layer']}.{head['head']}": head["pattern"] for head in heads if head["pattern"]}


def test_no_text_is_needed_and_the_random_tokens_are_described(cache: str) -> None:
    answer = attn("heads", "--probe", "--top", "3", ATTN_CACHE=cache)
    headline, probe, _, heading, *_ = answer.out.splitlines()
    assert headline == "storybook · gpt2 · 4 layers × 8 heads of 32 features · numpy, float32, cpu"
    assert probe == f"probe: {SEQUENCES}"
    assert heading.startswith("induction, layer × head · 4 × 8 · ")
    assert [line.split()[:4] for line in answer.out.splitlines()[-3:]] == [
        ["2.6", "induction", "0.79", "224"],
        ["2.7", "induction", "0.66", "224"],
        ["3.0", "induction", "0.54", "224"],
    ]
    assert answer.err == f"listed 3 of 32 heads; --top 0 lists all\n{KEPT}\n"


def test_the_document_says_where_names_come_from_and_agrees_with_its_schema(cache: str) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(data.schema()))
    by_card, by_text = (attn("heads", THE_DOG, *option, "--json") for option in ((), ("--no-probe",)))
    probed = attn("heads", "--probe", "--seed", "7", "--json", ATTN_CACHE=cache)
    later = attn("heads", THE_DOG, "--json", ATTN_CACHE=cache)
    for answer in (by_card, by_text, probed, later):
        validator.validate(answer.document)
    assert by_card.document["names"] == {"from": "card"}
    assert by_text.document["names"] == {"from": "text"}
    names = probed.document["names"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", names.pop("date"))
    assert names == {"from": "probe", "seeds": [7, 8, 9, 10], "lengths": [62, 58, 54, 50], "rows": 224}
    assert later.document["names"] | {"date": ""} == names | {"date": ""}
    assert (probed.document["text"], probed.document["tokens"]) == ("", [])
    assert patterns(later) == patterns(probed) != patterns(by_card)


def test_one_row_of_a_text_names_no_head() -> None:
    by_text = attn("heads", THE_DOG, "--no-probe", "--json")
    assert max(head["induction"] for head in by_text.document["heads"]) > 0.5
    assert not {"induction", "duplicate-token"} & set(names(by_text).values())
    err = attn("heads", THE_DOG, "--no-probe").err
    assert err.splitlines()[-1] == (
        "names come from this text; too few of its rows are evidence for induction (0 of 4), "
        "duplicate-token (0 of 4), broad (6 of 8); attn heads --probe measures all heads"
    )


def test_rows_of_the_same_few_tokens_name_no_head() -> None:
    words = (
        "One two three four five, six seven eight nine ten, Jack Tom Sam Ann Bob, "
        "Mary John Paul Fred Anna, so."
    )
    err = attn("heads", words, "--no-probe").err
    assert "evidence for induction (4, but of 2 tokens), duplicate-token (4, but of 2 tokens); " in err


def test_a_head_has_its_patterns_with_shares_and_rows_beside_its_name() -> None:
    (head,) = attn("heads", THE_DOG, "--heads", "2.7", "--json").document["heads"]
    assert (head["pattern"], head["rows"]) == ("induction", 4080)
    assert [(each["name"], round(each["share"], 2), each["rows"]) for each in head["patterns"]] == [
        ("induction", 0.78, 4080),
        ("first-token", 0.89, 8176),
    ]
    out = attn("heads", THE_DOG, "--heads", "2.7").out.splitlines()
    assert out[-1].split()[:6] == ["2.7", "induction", "0.78", "4,080", "first-token", "0.89"]


def test_later_commands_name_heads_by_the_probe_until_the_model_changes(twins: Path, cache: str) -> None:
    model = ("-m", twins / "gpt2")
    probed = attn("heads", "--probe", *model, "--json", ATTN_CACHE=cache)
    text = ("heads", "and the cat sat, and the cat sat", *model)
    later = attn(*text, "--json", ATTN_CACHE=cache)
    assert patterns(later) == patterns(probed)
    assert re.search(
        r"^names come from the probe of \d{4}-\d\d-\d\d, 174 rows of random repeated tokens; "
        r"from this text: --no-probe$",
        attn(*text, ATTN_CACHE=cache).err,
        re.MULTILINE,
    )
    for answer in (attn(*text, "--no-probe", "--json", ATTN_CACHE=cache), attn(*text, "--json")):
        assert answer.document["names"] == {"from": "text"}


def test_inspect_shows_the_head_that_the_probe_knows_best(cache: str) -> None:
    text = ("inspect", "Then Uncle Sam sang, and Uncle Sam sang well.", "-s", "weights")
    assert attn(*text).err.startswith("head 2.7 is shown, the clearest induction head of 32: it attends to ")
    attn("heads", "--probe", ATTN_CACHE=cache)
    why, here, *_ = attn(*text, ATTN_CACHE=cache).err.splitlines()
    assert re.fullmatch(
        r"head 2\.6 is shown, the clearest induction head of 32 on random tokens \(probe of \S+\): "
        r"it attends to what followed an earlier copy of the token",
        why,
    )
    assert here.startswith("on this text it puts 0.96 of its weight there on average (3 rows); ")


def test_a_few_rows_make_no_induction_head_of_the_sharpest_head(twins: Path) -> None:
    text = "the animal was tired on the street and the mat was cross and cat"
    line = (text, "-m", twins / "gpt2")
    why = attn("inspect", *line).err.splitlines()[0]
    assert why == "head 0.3 is shown: of the 12 heads, it attends most sharply to distant tokens"
    (head,) = attn("heads", *line, "--heads", "0.3", "--json").document["heads"]
    assert head["pattern"] is None


def test_nothing_is_kept_where_the_environment_names_no_cache() -> None:
    answer = attn("heads", "--probe", "--top", "1")
    assert answer.err == "listed 1 of 32 heads; --top 0 lists all\n"


def test_a_chosen_metric_and_chosen_heads_are_shown(cache: str) -> None:
    out = attn("heads", "--probe", "--metric", "previous-token", "-l", "0", "--top", "1").out
    assert "\nprevious-token, layer × head · 1 × 8 · " in out
    assert out.splitlines()[-1].split()[:2] == ["0.2", "previous-token"]
    found = attn("heads", "--probe", "--where", "pattern=induction", "--sort", "score", "--json").document
    assert [f"{head['layer']}.{head['head']}" for head in found["heads"]] == ["2.6", "2.7", "3.0"]
    assert not Path(cache).exists()


def test_the_random_layer_has_a_seed_of_its_own() -> None:
    one, other = (attn("heads", "--probe", "-m", "random", "--seed", seed, "--json") for seed in "01")
    assert patterns(one) != patterns(other)


def test_the_decoder_of_a_translator_is_probed_by_itself(tmp_path: Path, cache: str) -> None:
    TRANSLATORS["t5"].save(tmp_path / "t5")
    model = ("-m", tmp_path / "t5")
    encoder, decoder = (
        attn("heads", "--probe", "--kind", kind, *model, "--json", ATTN_CACHE=cache)
        for kind in ("encoder", "decoder")
    )
    assert {head["kind"] for head in decoder.document["heads"]} == {"decoder"}
    line = ("heads", "the cat sat", "--target", "the mat sat", *model, "--json")
    for kind, probed in {"encoder": encoder, "decoder": decoder}.items():
        later = attn(*line, "--kind", kind, ATTN_CACHE=cache)
        assert (patterns(later), later.document["names"]["from"]) == (patterns(probed), "probe")
    assert attn(*line, "--kind", "cross", ATTN_CACHE=cache).document["names"] == {"from": "text"}


@pytest.mark.slow  # a model is made, saved and loaded by transformers
def test_a_model_of_the_bridge_is_probed_too(tmp_path: Path, cache: str) -> None:
    save_twin("gpt_oss", tmp_path / "twin")
    model = ("-m", tmp_path / "twin")
    probed = attn("heads", "--probe", *model, "--json", ATTN_CACHE=cache)
    assert probed.document["engine"] == "transformers"
    assert patterns(attn("heads", "the cat sat", *model, "--json", ATTN_CACHE=cache)) == patterns(probed)


@pytest.mark.parametrize(
    ("arguments", "problem", "hint"),
    [
        (
            ("the cat",),
            "--probe measures heads on random tokens: TEXT was given too",
            "leave out --probe or TEXT",
        ),
        (
            ("--pair", "the cat"),
            "--probe measures heads on random tokens: --pair was given too",
            "leave out --probe or --pair",
        ),
        (("--kind", "decoder"), "storybook has no decoder attention: it has self", "--kind self"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: tuple[str, ...], problem: str, hint: str) -> None:
    assert refused(attn("heads", "--probe", *arguments)) == (2, problem, hint)


def test_definitions_have_a_formula_the_rows_and_the_source_of_every_word() -> None:
    answer = attn("heads", "--definitions")
    assert (answer.status, answer.err) == (0, "")
    blocks = answer.out.split("\n\n")
    for word in (*Metric, *Pattern, *Distance):
        lines = [word.explanation, f"= {word.formula}", f"rows: {word.rows}"]
        lines += [f"source: {word.source}"] if word.source else []
        said = [" ".join(block.split()) for block in blocks if block.startswith(f"{word} (")]
        assert f"{word} ({word.unit}) {' '.join(' '.join(lines).split())}" in said


def test_definitions_fit_the_terminal() -> None:
    assert max(map(len, attn("heads", "--definitions", COLUMNS="60").out.splitlines())) <= 60
