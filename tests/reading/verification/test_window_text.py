"""A text longer than a model's sliding window, which `attn verify` reads without TEXT."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attn_cli.commands.verify import TEXTS
from attn_cli.core.masks import sliding
from attn_cli.models.bridge.reference import rows_of
from attn_cli.models.native import families
from attn_cli.models.open import open_source
from attn_cli.models.source import SlidingWindow, Source, SourceRequest
from attn_cli.reading.verification import window_text as home
from attn_cli.reading.verification.window_text import WindowText, window_text
from tests.support.families import FAMILIES, decoder
from tests.support.twins import RECIPES, Recipe
from tests.support.worlds import attn

BUILT_IN = 3 * 96  # tokens: more than any built-in text has


@pytest.fixture
def mistral(tmp_path: Path) -> Path:
    config = decoder("MistralConfig", sliding_window=BUILT_IN, max_position_embeddings=4096)
    Recipe("MistralForCausalLM", config, 1.65).save(tmp_path)
    return tmp_path


def source_of(directory: Path) -> Source:
    return open_source(SourceRequest(str(directory)), {})


@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("llama", None),
        ("mistral", SlidingWindow(0, 5)),
        ("qwen2, window", SlidingWindow(1, 5)),
        ("gemma3_text", SlidingWindow(0, 5)),
        ("modernbert", SlidingWindow(1, 4)),
        ("gpt_neo", SlidingWindow(1, 5)),
    ],
)
def test_the_narrowest_window_and_its_first_layer_are_known(
    name: str, window: SlidingWindow | None, tmp_path: Path
) -> None:
    twins: Mapping[str, Recipe] = {**RECIPES, **FAMILIES}
    twins[name].save(tmp_path)
    assert source_of(tmp_path).narrowest_window == window


def test_the_built_in_texts_suffice_for_a_short_window(tmp_path: Path) -> None:
    FAMILIES["mistral"].save(tmp_path)
    assert window_text(source_of(tmp_path), TEXTS) is None


def test_a_longer_window_gets_a_text_of_its_own(mistral: Path) -> None:
    found = window_text(source_of(mistral), TEXTS)
    assert isinstance(found, WindowText)
    assert BUILT_IN < found.tokens <= BUILT_IN + 17
    assert found.first is None


def test_a_costly_window_is_compared_in_the_first_layers_and_a_costlier_one_not_at_all(
    mistral: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "_MOST_OPERATIONS", 2.5e7)  # three layers take 5.8e7
    found = window_text(source_of(mistral), TEXTS)
    assert isinstance(found, WindowText)
    assert found.first == 1
    verified = attn("verify", "-m", mistral, "--json")
    assert (verified.status, len(verified.document["texts"])) == (0, 6)
    remark = rf"a text of {found.tokens} tokens, longer than the window, is compared in the first 1 layer"
    assert verified.err == f"{remark}\n"
    monkeypatch.setattr(home, "_MOST_OPERATIONS", 1.0)
    verified = attn("verify", "-m", mistral, "--json")
    assert (verified.status, len(verified.document["texts"])) == (0, 5)
    assert verified.err == (
        f"no built-in text is longer than the window of {BUILT_IN} tokens, and one would take too long; "
        "your own: --file PATH\n"
    )


def test_a_long_window_off_by_one_is_found(mistral: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = families.read_spec

    def longer(config: Any, **how: Any) -> Any:
        return replace(read(config, **how), window=lambda _: sliding(BUILT_IN + 1))

    monkeypatch.setattr(families, "read_spec", longer)
    found = attn("verify", "-m", mistral, "-q")
    assert found.status == 3
    problem = found.err.splitlines()[0]
    assert problem.startswith("attn: the mask of self layer 0 differs from eager attention's in ")
    assert problem.endswith(f" cells: first at head 0, row {BUILT_IN}, key 0")


def test_all_rows_of_a_short_text_are_compared_and_64_of_a_long_one() -> None:
    assert rows_of(256) is None
    rows = rows_of(1000)
    assert rows is not None
    assert len(rows) == len(set(rows)) == 64
    assert list(rows) == sorted(rows)
    assert [*rows[:8], *rows[-24:]] == [*range(8), *range(976, 1000)]
    assert rows_of(257) is not None
