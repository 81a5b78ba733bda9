"""Verification against the reference model, for all kinds of attention."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from attn_cli.models.bridge import reference
from attn_cli.models.bridge.hf_models import inputs_of
from attn_cli.reading.verification.verify import verify_readings
from attn_cli.vocabulary import Kind
from tests.support.families import TRANSLATORS
from tests.support.readings import reading_of


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bart")
    TRANSLATORS["bart"].save(directory)
    return directory


@pytest.mark.parametrize("only", [None, Kind.CROSS])
def test_the_reference_model_runs_once_for_each_text_and_number_format(
    translator: Path, monkeypatch: pytest.MonkeyPatch, only: Kind | None
) -> None:
    runs: Counter[str] = Counter()

    def counted(model: Any, *given: Any) -> Any:
        runs[str(model.dtype)] += 1
        return inputs_of(model, *given)

    monkeypatch.setattr(reference, "inputs_of", counted)
    readings = [reading_of(text, str(translator)) for text in ("the cat sat", "a mat")]
    verdict = verify_readings(readings, only_kind=only)
    assert verdict.passed
    assert {each.kind for each in verdict.layers} == ({only} if only else set(readings[0].source.kinds))
    assert runs == {"torch.float32": 2, "torch.float64": 2}
