"""`attn effects`: predictions, direct effects, looks, ablation, and what is refused."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from attn_cli.cli import run
from attn_cli.commands.results import progress
from attn_cli.models import free_memory
from attn_cli.reading import memory
from attn_cli.show import data
from tests.commands.results.test_progress import Terminal
from tests.support.language_models import MASKED, NEXT, TARGETED
from tests.support.worlds import attn, attn_in_terminal, refused, world

STORY = "Tom Thumb went to sea, and Tom Thumb went home again, and Tom"


def answer(*arguments: str | Path) -> dict[str, Any]:
    found = attn("effects", *arguments, "--json")
    assert found.status == 0, found.err
    jsonschema.validate(found.document, json.loads(data.schema()))
    return found.document


def total(direct: dict[str, Any]) -> float:
    parts = [entry["effect"] for entry in (*direct["heads"], *direct["feed_forward"])]
    return float(sum(parts) + direct["embedding"] + direct["bias"] + direct["constant"] + direct["mean"])


def test_direct_effects_add_up_to_the_logit() -> None:
    found = answer(STORY)
    direct, target = found["direct"], found["target"]
    assert (found["position"], target["text"]) == (18, " Th")
    assert direct["sum"] == pytest.approx(total(direct), abs=1e-9)
    assert direct["sum"] == pytest.approx(target["logit"], abs=1e-4)
    assert found["predictions"][0]["id"] == target["id"]
    assert found["predictions"][0]["position"] == 18
    assert found["ablation"] is None
    best = max(direct["heads"], key=lambda entry: entry["effect"])
    assert (best["layer"], best["head"]) == (2, 7)
    first = found["edges"][0]
    assert (first["layer"], first["head"], first["key"]) == (2, 7, 11)
    assert [abs(edge["effect"]) for edge in found["edges"]] == sorted(
        (abs(edge["effect"]) for edge in found["edges"]), reverse=True
    )


def test_all_looks_of_a_head_add_up_to_it() -> None:
    found = answer(STORY, "--edges", "9999")
    heads = {(h["layer"], h["head"]): h["effect"] for h in found["direct"]["heads"]}
    sums = dict.fromkeys(heads, 0.0)
    for edge in found["edges"]:
        sums[edge["layer"], edge["head"]] += edge["effect"]
    assert len(found["edges"]) == 4 * 8 * 19
    np.testing.assert_allclose([*sums.values()], [*heads.values()], atol=1e-5)


def test_against_another_token_effects_are_on_the_difference() -> None:
    found = answer(STORY, "--token", " went", "--against", " Th")
    difference = found["target"]["logit"] - found["against"]["logit"]
    assert found["direct"]["mean"] == 0
    assert found["direct"]["sum"] == pytest.approx(difference, abs=1e-4)
    assert found["direct"]["sum"] == pytest.approx(total(found["direct"]), abs=1e-9)


def test_a_word_names_the_position() -> None:
    found = answer(STORY, "--position", "sea")
    assert found["position"] == 7
    assert found["predictions"][0]["predicts"] == 8


def test_the_sum_stands_beside_the_logit() -> None:
    answered = attn_in_terminal("effects", STORY)
    assert "sum 8.6386 = logit 8.6386" in answered.out
    sentence = '2.6 looks from "Tom" (18) at "Th" (11), weight 0.99, and adds +2.80 to " Th"'
    assert sentence in answered.out
    assert re.search(r"2\.7 +induction +\+3\.54", answered.out)
    assert "-0.00" not in answered.out.split("head ")[-1]
    assert "listed 10 of 32 heads; --top 0 lists all" in answered.err


def test_a_sum_that_rounding_changes_is_not_said_to_be_equal() -> None:
    """In bfloat16 a number has three digits."""
    found = attn("effects", STORY, "--dtype", "bfloat16").out
    line = next(line for line in found.splitlines() if line.startswith("sum "))
    matched = re.fullmatch(r"sum ([\d.]+) ≈ logit ([\d.]+)", line)
    assert matched is not None, line
    assert float(matched[1]) == pytest.approx(float(matched[2]), abs=0.05)


def test_heads_are_switched_off_one_at_a_time() -> None:
    ablation = answer(STORY, "--ablate", "zero")["ablation"]
    assert (ablation["method"], ablation["replaced_by"], len(ablation["heads"])) == ("zero", "zeros", 32)
    assert "together" not in ablation
    lost = min(ablation["heads"], key=lambda entry: entry["logit"])
    assert (lost["layer"], lost["head"]) == (0, 2)
    assert lost["logit"] == pytest.approx(-6.83, abs=0.005)
    assert all(entry["divergence"] >= 0 for entry in ablation["heads"])


def test_chosen_heads_are_also_switched_off_together() -> None:
    both = answer(STORY, "--ablate", "zero", "--heads", "2.6,2.7")["ablation"]
    assert [(entry["layer"], entry["head"]) for entry in both["heads"]] == [(2, 6), (2, 7)]
    assert both["together"]["logit"] < min(entry["logit"] for entry in both["heads"])
    layer = answer(STORY, "--ablate", "zero", "-l", "2")["ablation"]
    assert len(layer["heads"]) == 8
    assert "together" not in layer
    out = attn("effects", STORY, "--ablate", "zero", "--heads", "2.6,2.7").out
    assert re.search(r"^2\.6, 2\.7 together: logit -7\.07, probability -0\.66, KL 3\.72$", out, re.MULTILINE)


def test_a_text_that_resamples_itself_changes_nothing() -> None:
    found = answer(STORY, "--ablate", "resample", "--other", STORY)["ablation"]
    for entry in found["heads"]:
        assert entry["logit"] == pytest.approx(0, abs=1e-4)
        assert entry["divergence"] == pytest.approx(0, abs=1e-6)


def test_a_mean_says_what_it_is_of(tmp_path: Path) -> None:
    other = answer(STORY, "--ablate", "mean", "--other", "the cat sat", "-l", "0")["ablation"]
    assert other["replaced_by"] == "their mean over the other text, over all positions"
    same = tmp_path / "same.txt"
    same.write_text(f"{STORY}\n\n{STORY.replace('sea', 'war')}\n")
    found = answer(STORY, "--ablate", "mean", "--others", same, "-l", "0")["ablation"]
    assert found["replaced_by"] == "their mean over 2 other texts, position by position"
    same.write_text(f"{STORY}\nthe cat sat\n")
    found = answer(STORY, "--ablate", "mean", "--others", same, "-l", "0")["ablation"]
    assert found["replaced_by"] == "their mean over 2 other texts, over all positions"


def test_effects_are_on_what_comes_after_the_continuation() -> None:
    ours, theirs = answer("Once upon a time", "--generate", "3"), answer("Once upon a time, and the")
    assert [token["id"] for token in ours["tokens"]] == [token["id"] for token in theirs["tokens"]]
    assert (ours["position"], ours["direct"]) == (theirs["position"], theirs["direct"])
    drawn = answer("Once upon a time", "--generate", "3", "--temperature", "1", "--seed", "4")
    assert drawn["generation"]["seed"] == 4


def test_an_encoder_decoder_model_writes_the_text_that_effects_are_of(tmp_path: Path) -> None:
    TARGETED["t5"].save(tmp_path)
    found = answer("the cat sat", "--generate", "3", "-m", tmp_path, "--edges", "1")
    assert found["position"] == len(found["target_tokens"]) - 1 > 0


def test_the_other_text_of_an_ablation_is_a_message_too(tmp_path: Path) -> None:
    NEXT["llama"].save(tmp_path)
    template = "{% for message in messages %}the {{ message.content }} on{% endfor %}"
    (tmp_path / "chat_template.jinja").write_text(template)
    given = ("--chat", "-m", tmp_path, "--ablate", "resample", "--other")
    same, swapped = (
        max(abs(head["logit"]) for head in answer("the cat sat", *given, other)["ablation"]["heads"])
        for other in ("the cat sat", "sat cat the")
    )
    assert same < 1e-4
    assert swapped > 1e-2


def test_heads_switched_off_at_the_last_token_change_less() -> None:
    whole, last = (
        answer(STORY, "--ablate", "zero", "--heads", "0.2", *at)["ablation"]["heads"][0]["logit"]
        for at in ((), ("--at", "-1"))
    )
    assert abs(last) < 3 < abs(whole)


def test_kept_patterns_take_away_what_a_head_does_to_the_weights_of_others() -> None:
    free, kept = (
        answer(STORY, "--ablate", "zero", "--heads", "0.2", *option)["ablation"]["heads"][0]["logit"]
        for option in ((), ("--keep-patterns",))
    )
    assert free < -6
    assert kept > -2


def test_an_encoder_decoder_model_has_decoder_and_cross_heads(tmp_path: Path) -> None:
    TARGETED["t5"].save(tmp_path)
    found = answer("the cat sat", "--target", "the mat was", "-m", tmp_path, "--ablate", "zero")
    assert {entry["kind"] for entry in found["direct"]["heads"]} == {"decoder", "cross"}
    assert {entry["kind"] for entry in found["ablation"]["heads"]} == {"decoder", "cross"}
    assert found["direct"]["sum"] == pytest.approx(found["target"]["logit"], abs=1e-3)
    assert found["target_text"] == "the mat was"
    out = attn_in_terminal("effects", "the cat sat", "--target", "the mat was", "-m", tmp_path).out
    assert "direct effect, cross attention, layer × head" in out


def test_a_masked_model_has_ablation_alone(tmp_path: Path) -> None:
    MASKED["bert"].save(tmp_path)
    line = ("the cat [MASK] on the mat", "-m", tmp_path)
    status, problem, hint = refused(attn("effects", *line))
    assert status == 1
    assert problem.startswith("what the components of bert write does not add up to its logits")
    assert hint == "--ablate zero, which needs no sum"
    found = answer(*line, "--ablate", "zero")
    assert found["direct"] is None
    assert found["position"] == found["predictions"][0]["predicts"]
    assert max(abs(entry["logit"]) for entry in found["ablation"]["heads"]) > 0.01
    err = attn("effects", *line, "--ablate", "zero").err
    assert "no direct effects: what the components of bert write does not add up" in err


def test_long_ablation_counts_passes_through_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0)
    here = world(TERM="xterm-256color")
    here.stderr = Terminal()
    assert run(["effects", STORY, "--ablate", "zero", "--heads", "1.1,2.6"], here) == 0
    assert "3 of 3 layer passes" in here.stderr.getvalue()  # layers 1 to 3, in one batch


def test_files_have_a_record_for_each_head(tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("a.json", "a.csv", "a.npz", "a.png", "a.svg")]
    outs = [word for name in names for word in ("-o", name)]
    assert attn("effects", STORY, "--ablate", "zero", *outs).status == 0
    found = json.loads(names[0].read_text())
    jsonschema.validate(found, json.loads(data.schema()))
    rows = list(csv.DictReader(io.StringIO(names[1].read_text())))
    assert [*rows[0]] == ["kind", "layer", "head", "pattern", "effect", "logit", "probability", "divergence"]
    arrays = np.load(names[2])
    assert arrays["effect"].shape == arrays["divergence"].shape == (4, 8)
    for row, head, change in zip(rows, found["direct"]["heads"], found["ablation"]["heads"], strict=True):
        assert float(row["effect"]) == pytest.approx(head["effect"])
        assert float(row["logit"]) == pytest.approx(change["logit"])
        assert arrays["effect"][head["layer"], head["head"]] == pytest.approx(head["effect"])
    assert rows[2]["pattern"] == "previous-token"
    assert "direct effect" in names[4].read_text()


@pytest.mark.parametrize(
    ("words", "status", "problem", "hint"),
    [
        (
            ("--token", " Thumb"),
            2,
            "--token takes one token of storybook: ' Thumb' is 2, ' Th', 'umb'",
            '--token " Th"',
        ),
        (("--token", ""), 2, "--token needs the text of a token: it is empty", '--token " the"'),
        (
            ("--token", " Th", "--against", " Th"),
            2,
            "--token and --against are the same token",
            "--against another one",
        ),
        (
            ("--position", "99"),
            2,
            "position 99 does not exist: the text has 19 tokens, numbered 0 to 18",
            None,
        ),
        (("--position", "Tom"), 2, None, None),
        (("--heads", "9.9"), 2, "layer 9 does not exist: storybook has 4, numbered 0 to 3", None),
        (
            ("--ablate", "mean"),
            2,
            "--ablate mean needs other texts",
            "--others FILE, with a text on each line",
        ),
        (
            ("--ablate", "resample"),
            2,
            "--ablate resample needs another text of as many tokens",
            '--other "..."',
        ),
        (
            ("--ablate", "resample", "--other", "the cat"),
            2,
            "--other has 3 tokens, and the text 19: contexts are replaced one by one",
            "a text of as many tokens: attn tokens",
        ),
        (
            ("--ablate", "zero", "--other", "the cat"),
            2,
            "--ablate zero reads no other text",
            "--ablate mean, or leave the other text out",
        ),
        (("--other", "x"), 2, "--other applies only to --ablate", "--ablate zero, or leave out --other"),
        (("--keep-patterns",), 2, "--keep-patterns applies only to --ablate", None),
        (("--at", "3"), 2, "--at applies only to --ablate", None),
        (("--ablate", "zero", "--at", "dog"), 2, None, None),
        (("--ablate", "noise"), 2, None, None),
        (
            ("-m", "random"),
            1,
            "random predicts no tokens: it is one layer without a language head",
            "leave out -m random",
        ),
        (
            ("--ablate", "mean", "--others", "nothing.txt"),
            1,
            "nothing.txt does not exist",
            "check the path after --others",
        ),
        (
            ("--ablate", "zero", "--other", ""),
            2,
            "--ablate zero reads no other text",
            "--ablate mean, or leave the other text out",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(
    words: tuple[str, ...], status: int, problem: str | None, hint: str | None
) -> None:
    found = refused(attn("effects", STORY, *words))
    assert found[0] == status
    assert problem is None or found[1] == problem
    assert hint is None or found[2] == hint


def test_a_text_of_one_token_has_effects() -> None:
    found = answer("a", "--no-special", "--ablate", "zero")
    assert len(found["tokens"]) == 1
    assert found["direct"]["sum"] == pytest.approx(found["target"]["logit"], abs=1e-4)
    assert all(edge["key"] == 0 and edge["weight"] == pytest.approx(1) for edge in found["edges"])


def test_chosen_heads_are_those_of_the_table_the_looks_and_the_records(tmp_path: Path) -> None:
    found = answer(STORY, "--heads", "2.6,0.2", "--edges", "100")
    assert {(edge["layer"], edge["head"]) for edge in found["edges"]} == {(2, 6), (0, 2)}
    assert len(found["direct"]["heads"]) == 32
    assert attn("effects", STORY, "--heads", "2.6,0.2", "-o", tmp_path / "a.csv").status == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert [(row["layer"], row["head"]) for row in rows] == [("0", "2"), ("2", "6")]
    out = attn("effects", STORY, "--heads", "2.6,0.2").out
    assert re.findall(r"^(\d\.\d) +(?:induction|previous-token)", out, re.MULTILINE) == ["2.6", "0.2"]


def test_too_little_memory_is_said_before_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory, "free_bytes", lambda *_: 1 << 20)
    monkeypatch.setattr(memory, "_SMALL", 0)
    status, problem, hint = refused(attn("effects", STORY, "--ablate", "zero"))
    assert (status, hint) == (1, "a shorter text, or fewer heads: --heads")
    assert "memory" in problem
