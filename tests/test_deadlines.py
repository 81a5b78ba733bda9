"""No hypothesis test has a deadline: on a busy machine an example may take any time."""

import ast
from pathlib import Path

from hypothesis import settings

TESTS = Path(__file__).parent


def given(file: Path, keyword: str) -> list[str]:
    """The values of every keyword argument with this name in the file."""
    source = file.read_text("utf-8")
    nodes = ast.walk(ast.parse(source)) if keyword in source else ()
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return [ast.unparse(word.value) for call in calls for word in call.keywords if word.arg == keyword]


def test_every_test_runs_in_a_profile_without_a_deadline() -> None:
    assert settings().deadline is None
    assert settings().print_blob


def test_no_test_sets_a_deadline_beside_the_profile() -> None:
    found = {str(file.relative_to(TESTS)): given(file, "deadline") for file in sorted(TESTS.rglob("*.py"))}
    assert {name: values for name, values in found.items() if values} == {"conftest.py": ["None"]}
