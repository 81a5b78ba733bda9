"""Two keys with the same weight: neither is said to be above the other."""

from pathlib import Path

from tests.support.families import decoder
from tests.support.twins import Recipe
from tests.support.worlds import attn


def test_two_keys_at_the_soft_cap_have_the_same_weight(tmp_path: Path) -> None:
    config = decoder(
        "Gemma2Config",
        head_dim=8,
        sliding_window=2,
        attn_logit_softcapping=0.5,  # so low that every large score is at the cap
        query_pre_attn_scalar=3,
    )
    Recipe("Gemma2Model", config, 1.4).save(tmp_path)
    text = "The cat was tired and the mat sat"
    page = attn("explain", text, "-m", tmp_path, "--heads", "0.0", "--query", "-1")
    assert page.out.splitlines()[-1] == (
        '"sat" (9) puts 0.5000 of its weight on "mat" (8), as much as on "sat" (9):'
        " both have the logit 0.5000."
    )
