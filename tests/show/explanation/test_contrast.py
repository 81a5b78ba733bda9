"""Why one key and not another, as a page: its question is about the scores that it splits."""

from pathlib import Path

import pytest

from tests.support.families import FAMILIES
from tests.support.worlds import attn


@pytest.mark.parametrize(("other", "compared"), [("2", "lower"), ("11", "higher")])
def test_the_question_is_about_the_score_and_not_the_weight(
    other: str, compared: str, tmp_path: Path
) -> None:
    FAMILIES["bloom"].save(tmp_path)  # ALiBi turns the order of the first pair round
    head = ("-m", tmp_path, "--heads", "1.1", "--query", "-1", "--key", "5", "--over", other)
    shown = attn("explain", "the cat sat on the mat, and the mat sat on the cat", *head, "--json")
    scores, logits = shown.document["over"]["scores"], shown.document["over"]["logits"]
    assert (scores[0] < scores[1]) == (compared == "lower")
    assert logits[0] > logits[1]
    title = attn("explain", "the cat sat on the mat, and the mat sat on the cat", *head).out.splitlines()[0]
    assert f" {compared} than " in title
