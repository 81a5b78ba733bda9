"""Every example of the README is run, and prints what the README says."""

import doctest
import io
import re
import shlex
from pathlib import Path

import pytest

from attn_cli.cli import run
from attn_cli.console import World
from tests.support.hub_cache import hub_cache
from tests.support.twins import minilm

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```console\n\$ (.*)\n((?:.*\n)*?)```", README)
MODEL = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A Hugging Face cache that holds all-MiniLM-L6-v2, out of the package that carries it."""
    home = hub_cache(tmp_path_factory.mktemp("huggingface"), {MODEL: minilm()})
    return {"HF_HOME": str(home), "COLUMNS": "80"}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples write; one reads what another wrote."""
    directory = tmp_path_factory.mktemp("readme")
    (directory / "sample_inputs").symlink_to(ROOT / "sample_inputs")
    return directory


@pytest.mark.parametrize(("command", "printed"), EXAMPLES)
def test_an_example_prints_what_the_readme_says(
    command: str, printed: str, environment: dict[str, str], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    world = World(io.StringIO(), io.StringIO(), io.StringIO(), environment)
    assert isinstance(world.stdout, io.StringIO)
    name, *arguments = shlex.split(command)
    assert name == "attn"
    assert run(arguments, world) == 0
    assert world.stdout.getvalue() == printed


def test_the_python_examples_answer_what_the_readme_says(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    examples = doctest.DocTestParser().get_doctest("\n".join(_python()), {}, "README.md", None, None)
    report = io.StringIO()
    assert examples.examples
    assert doctest.DocTestRunner().run(examples, out=report.write).failed == 0, report.getvalue()


def _python() -> list[str]:
    return re.findall(r"```python\n((?:.*\n)*?)```", README)


def test_no_example_is_passed_over_and_the_first_is_the_main_job() -> None:
    assert len(EXAMPLES) == README.count("```console\n")
    assert EXAMPLES[0][0].startswith("attn inspect ")


def test_no_figure_is_owed() -> None:
    assert "@@" not in README


@pytest.mark.parametrize("picture", re.findall(r"!\[.*\]\((.*)\)", README))
def test_every_picture_is_there(picture: str) -> None:
    assert (ROOT / picture).read_bytes().startswith(b"\x89PNG")


def test_ci_runs_the_readmes_test_command() -> None:
    commands = re.findall(r"```sh\n(.*)\n```", README)
    assert commands[0].endswith(
        'attn inspect "The animal didn\'t cross the street because it was too tired."'
    )
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == commands[1]


@pytest.mark.parametrize("sample", sorted((ROOT / "sample_inputs").iterdir()), ids=lambda path: path.name)
def test_every_sample_can_be_inspected(sample: Path, environment: dict[str, str]) -> None:
    models = ("random",) if sample.name == "alice.txt" else ("random", "storybook", MODEL)  # to train on
    for model in models:
        world = World(io.StringIO(), io.StringIO(), io.StringIO(), environment)
        assert run(["inspect", "--file", str(sample), "-m", model], world) == 0
