"""README and docs/: every example runs and prints what the page says, and every link leads somewhere."""

import doctest
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from attn_cli.analysis.patterns import is_enough, name_pattern
from attn_cli.vocabulary import Distance, Kind, Metric, Pattern, Step
from tests.support.chat_templates import CHAT_MODEL, save_chatting
from tests.support.families import TRANSLATORS
from tests.support.hub_cache import hub_cache
from tests.support.pages import (
    LINKED,
    PAGES,
    README,
    ROOT,
    Example,
    anchors,
    blocks,
    examples,
    links,
    pictures,
)
from tests.support.twins import minilm
from tests.support.worlds import Answer, attn, attn_in_terminal

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
T5 = "google/flan-t5-small"
EXAMPLES = [example for page in PAGES for example in examples(page)]
BASH = shutil.which("bash") or "bash"
IMAGES = ROOT / "docs" / "images"
_SHORT_TRAINING = "--steps 2 --batch 1"
_MOST_LINES = 150
_MOST_BYTES = 100_000  # of a picture: it is fetched over SSH, and stays in the history


def python_of(page: Path) -> str:
    """The Python code of all blocks."""
    return "\n".join(content for language, _, content in blocks(page) if language == "python")


def is_setup(example: Example) -> bool:
    """Whether it creates an environment: these tests already run in one."""
    return example.command.startswith("python3 -m venv")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face cache with all-MiniLM-L6-v2, and small random models instead of the other real ones."""
    twin = tmp_path_factory.mktemp("twin") / "t5"
    TRANSLATORS["t5"].save(twin)
    models = {MINILM: minilm(), T5: twin, CHAT_MODEL: save_chatting(twin.with_name("chatting"))}
    return hub_cache(tmp_path_factory.mktemp("huggingface"), models)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of the examples, shared so that one can read what another wrote."""
    directory = tmp_path_factory.mktemp("pages")
    samples = ROOT / "sample_inputs"
    (directory / "sample_inputs").symlink_to(samples)
    story = (samples / "alice.txt").read_text("utf-8")
    (directory / "train.txt").write_text(story[:20_000], "utf-8")
    (directory / "valid.txt").write_text(story[20_000:24_000], "utf-8")
    return directory


@pytest.fixture
def there(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to the working directory."""
    monkeypatch.chdir(workplace)
    return workplace


def answer_of(command: str, home: Path) -> Answer:
    """The output of the command line on a terminal of 80 columns; pipes and loops are run by a shell."""
    command = re.sub(r"--minutes \S+", _SHORT_TRAINING, command)
    if command.startswith("attn ") and " | " not in command:
        return attn_in_terminal(*shlex.split(command)[1:], HF_HOME=str(home))
    script = f'attn() {{ {shlex.quote(sys.executable)} -m attn_cli "$@"; }}\nset -eo pipefail\n{command}'
    variables = {"COLUMNS": "80", "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "PYTHONPATH": str(ROOT)}
    shell = subprocess.run(
        [BASH, "-c", script], env=os.environ | variables, capture_output=True, text=True, check=False
    )
    return Answer(shell.returncode, shell.stdout, shell.stderr)


@pytest.mark.parametrize("example", [each for each in EXAMPLES if not is_setup(each)], ids=str)
def test_an_example_runs_and_prints_what_the_page_says(example: Example, home: Path, there: Path) -> None:
    answer = answer_of(example.command, home)
    assert answer.status == 0, answer.err
    if example.printed is not None:  # the result, or all that a terminal shows
        assert example.printed in {answer.out, answer.out + answer.err}
    assert all((there / name).exists() for name in re.findall(r"-o (\w\S*\.\w+)", example.command))


def test_the_loop_over_a_file_writes_one_file_for_each_line_and_loses_none(home: Path, there: Path) -> None:
    lines = ["- yes", "-", "  two spaces", r"C:\new", "the last"]
    (there / "odd.txt").write_text("\n".join(lines), "utf-8")  # no newline ends the last line
    (loop,) = (each.command for each in EXAMPLES if "while" in each.command)
    loop = loop.replace("sample_inputs/sentences.txt", "odd.txt").replace("heads-$n.csv", "odd-$n.json")
    answer = answer_of(loop, home)
    assert answer.status == 0, answer.err
    written = [json.loads((there / f"odd-{n}.json").read_text("utf-8"))["text"] for n in range(1, 6)]
    assert written == lines


@pytest.mark.parametrize("page", [page for page in PAGES if python_of(page)], ids=lambda page: page.name)
def test_the_python_examples_answer_what_the_page_says(page: Path, home: Path, there: Path) -> None:
    assert there.is_dir()
    for example in examples(page):
        if example.command.startswith(("attn inspect", "attn effects")) and "-o " in example.command:
            assert answer_of(f"{example.command} --force", home).status == 0
    tests = doctest.DocTestParser().get_doctest(python_of(page), {}, page.name, None, None)
    report = io.StringIO()
    assert doctest.DocTestRunner().run(tests, out=report.write).failed == 0, report.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_tested(page: Path) -> None:
    """Every block is an example of one of three kinds, except the diagram of the architecture."""
    allowed = {"console", "python", "sh"} | ({""} if page.name == "architecture.md" else set())
    found = list(blocks(page))
    assert {language for language, _, _ in found} <= allowed
    assert page.read_text("utf-8").count("```") == 2 * len(found)
    assert all(content.startswith("$ ") for language, _, content in found if language == "console")


def test_python_and_console_examples_are_found() -> None:
    assert any(map(python_of, PAGES))
    assert sum(example.printed is not None for example in EXAMPLES) >= 10


def test_the_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= _MOST_LINES


def test_the_readme_begins_with_the_main_job_and_what_its_head_does() -> None:
    first = next(examples(README))
    assert first.command.startswith("attn inspect ")
    assert first.printed is not None
    assert "\nhead 2.7 is shown, the clearest induction head of 32" in first.printed


def test_set_up_runs_the_first_command_and_ci_runs_the_test_command() -> None:
    run, check = (example.command for example in EXAMPLES if is_setup(example))
    main_job = run.rpartition(" && ")[2]
    assert next(examples(README)).command.startswith(main_job)
    assert attn(*shlex.split(main_job)[1:]).status == 0
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == check


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        place = page.parent / target if target else page
        assert place.exists(), link
        assert not anchor or anchor in anchors(place), link


def test_the_readme_leads_to_every_page() -> None:
    led = {(README.parent / link).resolve() for link in links(README)}
    assert {page for page in PAGES if page != README} <= led


def test_every_picture_is_small_is_there_and_is_shown() -> None:
    shown = {picture.resolve() for page in PAGES for picture in pictures(page)}
    assert shown == set(IMAGES.iterdir())
    for picture in shown:
        content = picture.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) < _MOST_BYTES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_picture_says_in_words_what_it_shows(page: Path) -> None:
    said = re.findall(r"!\[([^]]*)\]", page.read_text("utf-8"))
    assert all(len(words.split()) >= 8 for words in said)


@pytest.mark.parametrize("name", ["heads.png", "text.png"])
def test_a_picture_of_the_bundled_model_is_what_the_command_beside_it_draws(
    name: str, home: Path, there: Path
) -> None:
    (example,) = (each for each in EXAMPLES if each.command.endswith(f" -o {name}"))
    assert answer_of(f"{example.command} --force", home).status == 0
    drawn, kept = (matplotlib.image.imread(place / name) for place in (there, IMAGES))
    assert drawn.shape == kept.shape
    assert np.abs(drawn - kept).mean() < 0.002  # a letter that another version of FreeType draws another way


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_of_the_repository_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    for script in re.findall(r"`python (tests/\S+\.py)", text):
        assert (ROOT / script).exists()
    for module in re.findall(r"`python -m (tests\.[\w.]+)", text):
        assert importlib.util.find_spec(module) is not None
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"attn-cli\[(\w+)\]", text)) <= extras.keys()


def test_the_glossary_explains_every_word_of_the_interface() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    steps = re.findall(r"^- \*\*([\w-]+)\*\*", glossary, re.MULTILINE)
    singular = {Step.QUERIES: "query", Step.KEYS: "key", Step.VALUES: "value"}
    assert {singular.get(step, step) for step in Step} <= set(steps)
    assert all(f"| `{word}` |" in glossary for words in (Metric, Pattern, Distance) for word in words)
    assert all(kind in glossary for kind in Kind)


def link(source: str) -> str:
    """The source as the glossary has it: `Olsson et al. 2022, arXiv:2209.11895` as a link."""
    found = re.fullmatch(r"(?:(.*: ))?(.*), (?:arXiv:(\S+)|doi:(\S+)|(\S+/\S+))", source)
    if found is None:
        return source
    before, paper, arxiv, doi, page = found.groups(default="")
    address = f"arxiv.org/abs/{arxiv}" if arxiv else f"doi.org/{doi}" if doi else page
    return f"{before}[{paper}](https://{address})"


@pytest.mark.parametrize("word", [*Metric, *Pattern, *Distance], ids=str)
def test_the_glossary_has_the_definitions_of_the_code(word: Metric | Pattern | Distance) -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    said = (word.unit, word.explanation, word.formula, word.rows, link(word.source))
    cells = " | ".join((f"`{word}`", *(cell.replace("|", "\\|") for cell in said)))
    assert f"\n| {cells} |\n" in glossary


def test_every_metric_and_pattern_has_a_formula_the_rows_that_count_and_a_source() -> None:
    for word in (*Metric, *Pattern):
        assert all((word.explanation, word.unit, word.formula, word.rows, word.source)), word


@pytest.mark.parametrize("where", ["glossary", "definitions"])
def test_the_definition_of_a_name_has_the_constants_of_the_code(where: str) -> None:
    """Shares and rows that name a head, and one less that does not."""
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    text = " ".join((glossary if where == "glossary" else attn("heads", "--definitions").out).split())
    said = re.search(
        r"share is at least (\S+) \(`?first-token`?: (\S+), `?broad`?: (\S+)\) on at least (\d+) rows "
        r"\(`?first-token`?, `?broad`?: (\d+)\) of (\d+) different tokens",
        text,
    )
    assert said is not None
    *shares, doing, resting, different = map(float, said.groups())
    for pattern, least in zip((Pattern.INDUCTION, Pattern.FIRST, Pattern.BROAD), shares, strict=True):
        assert name_pattern({pattern: least}) is pattern
        assert name_pattern({pattern: least - 0.001}) is None
    for pattern, least in ((Pattern.INDUCTION, doing), (Pattern.FIRST, resting), (Pattern.BROAD, resting)):
        assert is_enough(pattern, int(least), int(different))
        assert not is_enough(pattern, int(least) - 1, int(different))
        assert not is_enough(pattern, int(least), int(different) - 1)


def test_files_lists_the_steps_in_their_order() -> None:
    page = (ROOT / "docs" / "files.md").read_text("utf-8")
    table = re.findall(r"^\| (`[a-z` -]+`) \| \(T", page, re.MULTILINE)
    assert re.findall(r"[\w-]+", " ".join(table)) == list(Step)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_figure_is_missing(page: Path) -> None:
    assert "@@" not in page.read_text("utf-8")


@pytest.mark.parametrize("sample", sorted((ROOT / "sample_inputs").iterdir()), ids=lambda path: path.name)
def test_every_sample_can_be_inspected(sample: Path, home: Path) -> None:
    models = ("random",) if sample.name == "alice.txt" else ("random", "storybook", MINILM)  # to train on
    for model in models:
        assert attn("inspect", "--file", sample, "-m", model, HF_HOME=str(home)).status == 0
