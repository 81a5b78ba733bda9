"""Every reason why a step is not known is said in the language of the page."""

from pathlib import Path

import pytest

from attn_cli.models.bridge import captured_layer
from attn_cli.show.explanation.sections.reasons import PORTUGUESE
from tests.support.every_type import save_twin
from tests.support.worlds import attn


def test_every_reason_of_the_bridge_has_its_portuguese() -> None:
    reasons = {
        text for name, text in vars(captured_layer).items() if name.isupper() and isinstance(text, str)
    }
    assert reasons == set(PORTUGUESE)


@pytest.mark.slow  # transformers runs the model
def test_what_is_not_known_of_a_bridged_model_is_said_in_both_languages(tmp_path: Path) -> None:
    save_twin("falcon", tmp_path)
    where = ["the cat sat on the mat", "-m", str(tmp_path), "-l", "0", "-H", "0", "--query", "3"]
    english, portuguese = (attn("explain", *where, "--lang", lang).out for lang in ("en", "pt"))
    why = "only the softmax of this family can be observed"
    assert f"How they come from the layer's input is not known here: {why}.\n" in english
    assert f"The dot product is not known here: {why}.\n" in english
    assert f"The values are not known here: {why}.\n" in english
    assert "desta família só se pode observar a softmax.\n" in portuguese
    assert why not in portuguese
