"""The name of a model comes from outside: on no page of a lesson is it markup."""

import shutil
from importlib import import_module
from pathlib import Path

import pytest

from attn_cli.show.explanation.document import Document
from attn_cli.show.explanation.figures import Ledger
from attn_cli.show.explanation.markdown import as_markdown
from attn_cli.vocabulary import Language, Lesson
from tests.support.lesson_pages import asked
from tests.support.readings import reading_of


@pytest.mark.parametrize("lesson", Lesson)
def test_the_name_of_a_model_is_not_markup(lesson: Lesson, twin: Path, tmp_path: Path) -> None:
    model = tmp_path / "*m*|<b>"
    shutil.copytree(twin, model)
    reading = reading_of("the cat sat on the mat", str(model))
    numbers = import_module(f"attn_cli.reading.lessons.{lesson.value}")
    view = import_module(f"attn_cli.show.explanation.lessons.{lesson.value}")
    ledger = Ledger(4)
    blocks = list(view.blocks(numbers.study(asked(reading, 1, 1)), ledger, reading.sides, ("text",)))
    page = as_markdown(Document(blocks, ledger.settle()), Language.EN)
    assert r"\*m\*\|&lt;b&gt;" in page
    assert "*m*|<b>" not in page.replace(r"\*m\*\|", "")
