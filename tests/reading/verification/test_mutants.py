"""Our own code, broken in one place at a time: `attn verify` finds each, in the step where it begins."""

import re
from functools import cache
from pathlib import Path

import pytest

from attn_cli.reading.verification.verify import verify_readings
from attn_cli.vocabulary import Check
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.mutants import MUTANTS, Mutant
from tests.support.readings import reading_of
from tests.support.twins import RECIPES, TEXTS, Recipe

ROOT = Path(__file__).parents[3]
TWINS = {**RECIPES, **FAMILIES, **TRANSLATORS}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> "Saved":
    return Saved(tmp_path_factory.mktemp("mutants"))


class Saved:
    """Twins, each saved once."""

    def __init__(self, room: Path) -> None:
        self._room = room
        self.path = cache(self._save)

    def _save(self, name: str) -> Path:
        directory = self._room / name.replace(" ", "-")
        recipe: Recipe = TWINS[name]
        recipe.save(directory)
        return directory


def judged(saved: Saved, mutant: Mutant) -> tuple[bool, str | None]:
    """Whether the twin passes, and the first step that differs."""
    reading = reading_of(TEXTS[1], str(saved.path(mutant.twin)))
    verdict = verify_readings([reading], only_kind=mutant.kind)
    failure = verdict.failure
    return verdict.passed, None if failure is None else failure.check.value


@pytest.mark.parametrize("what", MUTANTS)
def test_every_mutant_is_found_in_the_step_where_it_begins(
    what: str, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = MUTANTS[what]
    saved.path(mutant.twin)
    mutant.apply(monkeypatch)
    assert judged(saved, mutant) == (False, mutant.step.value)


@pytest.mark.parametrize("twin", sorted({mutant.twin for mutant in MUTANTS.values()}))
def test_the_twins_pass_without_a_mutant(twin: str, saved: Saved) -> None:
    kinds = {mutant.kind for mutant in MUTANTS.values() if mutant.twin == twin}
    for kind in kinds:
        assert judged(saved, Mutant(twin, Check.INPUT, lambda _: None, kind)) == (True, None)


def test_the_mutants_are_listed_in_the_docs() -> None:
    page = (ROOT / "docs" / "verify.md").read_text("utf-8")
    listed = re.findall(r"^\| (.+?) \| `(.+?)` \| `?(.+?)`? \|$", page, re.MULTILINE)
    expected = [
        (what, TWINS[mutant.twin].config.model_type, mutant.step.of_layer) for what, mutant in MUTANTS.items()
    ]
    assert listed == expected
    assert len(expected) >= 30
