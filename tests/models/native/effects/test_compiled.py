"""A transformer compiled by hand, whose effects are worked out on paper.

The text is `s a b c a`, and the prediction the one after its last token. Each vector has as many negatives as
positives, so LayerNorm divides by √(2 Σ x² / 64), the sum over one half.

- **Embedded**: the token and its place are 2 each: Σ = 8, so layer 0 reads them divided by 1/2, as 4.
- **0.0** looks at `c`, the token before: 4 · 3/4 = 3 in PREVIOUS of `c`. **0.1** looks at both `a`, half at
  each: 4 · -1/4 = -1 in ANSWER of `a`. Every position has Σ = 8 + 9 + 1 = 18: layer 1 divides by 3/4.
- **1.0** looks at `b`, which follows `a`: it reads 2 / (3/4) = 8/3 and writes 8/3 · 9/2 = 12 in ANSWER of
  `b`. **1.1** looks at `s` and writes nothing.
- **The final norm** reads Σ = 18 + 144 = 162: it divides by 9/4, and its gain of 9/8 makes that a half. Each
  feature counts twice, by its negative: the logit of a word is its ANSWER, less a quarter of its TOKEN, plus
  a quarter of its PREVIOUS, and for `c` the shift of 1/2: **b 12, a -1 - 1/2, c 3/4 + 1/2, the others 0**.
  Their mean is 11.75 / 6.

**Direct effects on `b` less the mean**: 1.0 adds 12 - 12/6 = 10; 0.1 takes 1 from `a` and so adds 1/6, half
of it with each `a`; 0.0 adds 3/4 to `c` and so takes 1/8; the embedding takes 1/2 from `a`: 1/12; the shift:
-1/12. Over `a` they are 12, 1, 0, 1/2 and 0, which makes 13 1/2.

**Without a head**, with Σ the sum that the final norm then reads; it multiplies by 9 / √(2 Σ):

- 1.1: nothing changes.
- 1.0: Σ = 18, so 3/2: the logit of `b` is 0.
- 0.1: Σ = 17 in layer 1, which reads 16 / √34, so that 72 / √34 is written: Σ = 17 + 72² / 34.
- 0.0: no key has a PREVIOUS, so 1.0 looks at all five tokens alike. Σ = 9 in layer 1, which reads 16 / √18; a
  fifth of it times 9/2 is 2.4 √2. Two tokens are `a`: ANSWER has 4.8 √2 - 1 of it, and 2.4 √2 of `s`, `b`
  and `c`.
- 0.0, with the clean weights: 1.0 still looks at `b` and writes 12 √2.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.compiled_circuit import WORDS, save_circuit
from tests.support.worlds import attn

TEXT, OTHER = "s a b c a", "s a d c a"
CLOSE = 1e-9  # in float64; the weights of other keys are e^-180 and less
LOGITS = {"s": 0.0, "a": -1.5, "b": 12.0, "c": 1.25, "d": 0.0, "e": 0.0}
MEAN = 11.75 / 6


@pytest.fixture(scope="module")
def circuit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_circuit(tmp_path_factory.mktemp("circuit"))


def effects(circuit: Path, *words: str | Path) -> dict[str, Any]:
    found = attn("effects", TEXT, "-m", circuit, "--dtype", "float64", "--json", *words)
    assert found.status == 0, found.err
    return found.document


def by_head(entries: list[dict[str, Any]], name: str) -> dict[str, float]:
    return {f"{entry['layer']}.{entry['head']}": entry[name] for entry in entries}


def change(circuit: Path, head: str, *words: str | Path) -> dict[str, float]:
    """What changes of the logit of `b` without a head."""
    (found,) = effects(circuit, "--heads", head, "--ablate", *words)["ablation"]["heads"]
    return {name: found[name] for name in ("logit", "probability", "divergence")}


def final_scale(total: float) -> float:
    """What the final norm multiplies by, with its gain."""
    return float(9 / np.sqrt(2 * total))


def test_the_logits_are_those_on_paper(circuit: Path) -> None:
    found = effects(circuit)
    assert {each["text"]: each["logit"] for each in found["predictions"]} == pytest.approx(
        {word: LOGITS[word] for word in sorted(WORDS, key=lambda word: -LOGITS[word])[:5]}, abs=CLOSE
    )
    assert found["target"]["text"] == "b"
    shares = np.exp([*LOGITS.values()])
    assert found["predictions"][0]["probability"] == pytest.approx(float(np.exp(12) / shares.sum()))


def test_direct_effects_are_those_on_paper(circuit: Path) -> None:
    direct = effects(circuit)["direct"]
    on_paper = {"0.0": -1 / 8, "0.1": 1 / 6, "1.0": 10, "1.1": 0}
    assert by_head(direct["heads"], "effect") == pytest.approx(on_paper, abs=CLOSE)
    parts = [direct[name] for name in ("embedding", "constant", "bias", "mean", "sum")]
    assert parts == pytest.approx([1 / 12, -1 / 12, 0, MEAN, 12], abs=CLOSE)
    assert [each["effect"] for each in direct["feed_forward"]] == [0, 0]


def test_effects_on_a_difference_are_those_on_paper(circuit: Path) -> None:
    direct = effects(circuit, "--against", "a")["direct"]
    assert by_head(direct["heads"], "effect") == pytest.approx(
        {"0.0": 0, "0.1": 1, "1.0": 12, "1.1": 0}, abs=CLOSE
    )
    parts = [direct[name] for name in ("embedding", "constant", "bias", "mean", "sum")]
    assert parts == pytest.approx([1 / 2, 0, 0, 0, 13.5], abs=CLOSE)


def test_looks_are_those_on_paper(circuit: Path) -> None:
    """(head, key) to weight and effect; no others have any."""
    found = effects(circuit, "--edges", "99")["edges"]
    assert len(found) == 4 * len(TEXT.split())
    looks = {
        (f"{look['layer']}.{look['head']}", look["key"]): (look["weight"], look["effect"])
        for look in found
        if look["weight"] > CLOSE
    }
    on_paper = {
        ("1.0", 2): (1, 10),
        ("0.0", 3): (1, -1 / 8),
        ("0.1", 1): (1 / 2, 1 / 12),
        ("0.1", 4): (1 / 2, 1 / 12),
        ("1.1", 0): (1, 0),
    }
    assert looks.keys() == on_paper.keys()
    for look, numbers in on_paper.items():
        assert looks[look] == pytest.approx(numbers, abs=CLOSE)


def test_zeroed_heads_change_what_they_do_on_paper(circuit: Path) -> None:
    of_same = 2 * 72 / np.sqrt(34) * final_scale(17 + 72**2 / 34)
    found = 2.4 * np.sqrt(2)
    of_previous = 2 * found * final_scale(8 + 3 * found**2 + (2 * found - 1) ** 2)
    on_paper = {"0.0": of_previous, "0.1": of_same, "1.0": 0.0, "1.1": 12.0}
    for head, logit in on_paper.items():
        assert change(circuit, head, "zero")["logit"] == pytest.approx(logit - 12, abs=CLOSE), head
    assert change(circuit, "1.1", "zero")["divergence"] == pytest.approx(0, abs=CLOSE)


def test_with_the_clean_weights_the_induction_head_needs_no_previous_token(circuit: Path) -> None:
    written = 12 * np.sqrt(2)
    logit = 2 * written * final_scale(9 + written**2)
    assert change(circuit, "0.0", "zero", "--keep-patterns")["logit"] == pytest.approx(logit - 12, abs=CLOSE)


def test_a_resampled_head_says_what_it_says_in_the_other_text(circuit: Path) -> None:
    """There `d` follows `a`: the logits of `b` and `d` change places, so KL is 12 (p(b) - p(d))."""
    shares = {word: np.exp(logit) for word, logit in LOGITS.items()}
    total = sum(shares.values())
    found = change(circuit, "1.0", "resample", "--other", OTHER)
    apart = float((shares["b"] - shares["d"]) / total)
    assert [found[name] for name in ("logit", "probability", "divergence")] == pytest.approx(
        [-12, -apart, 12 * apart], abs=CLOSE
    )


def test_a_mean_over_both_texts_says_half_of_each(circuit: Path, tmp_path: Path) -> None:
    """6 in ANSWER of `b`, and 6 of `d`."""
    (tmp_path / "texts.txt").write_text(f"{TEXT}\n{OTHER}\n")
    found = change(circuit, "1.0", "mean", "--others", tmp_path / "texts.txt")
    logit = 2 * 6 * final_scale(18 + 2 * 36)
    assert found["logit"] == pytest.approx(logit - 12, abs=CLOSE)


def test_at_the_last_token_alone_a_head_of_layer_0_leaves_the_key_as_it_is(circuit: Path) -> None:
    """The `b` that 1.0 looks at keeps its PREVIOUS: 12 is written, and Σ is 9 + 144."""
    found = change(circuit, "0.0", "zero", "--at", "-1")
    assert found["logit"] == pytest.approx(2 * 12 * final_scale(9 + 144) - 12, abs=CLOSE)
