"""Every model type of transformers agrees with eager attention, or is refused with a reason."""

from collections import Counter
from collections.abc import Iterator

import pytest
import transformers

from attn_cli.models.inventory import model_types
from tests.support.every_type import TYPES, Verdict, verdict_of

SAMPLE = (
    *("afmoe", "albert", "bloom", "canine", "convbert", "deberta", "deberta-v2", "deepseek_v2", "diffllama"),
    *("electra", "encoder-decoder", "funnel", "gptj", "granite_swa", "led", "llava", "longcat_flash"),
    *("mpnet", "nystromformer", "openai-gpt", "prophetnet", "qwen3_next", "squeezebert", "t5gemma", "zamba"),
)
PEAKED = 0.35  # a few scale their scores down by a number of the config, and stay flatter than others
FLAT = {"canine"}


@pytest.mark.slow
def test_a_sample_of_types_agrees_with_eager(each_type: Verdict) -> None:
    assert each_type.served in {"native", "bridge", "fallback"}, each_type.why
    assert each_type.compared > 0
    assert each_type.peak > PEAKED or each_type.kind in FLAT


@pytest.fixture(params=[kind for kind in SAMPLE if kind in TYPES])
def each_type(request: pytest.FixtureRequest) -> Verdict:
    return verdict_of(request.param)


@pytest.fixture(scope="session")
def verdicts(request: pytest.FixtureRequest) -> Iterator[list[Verdict]]:
    found = [verdict_of(kind) for kind in TYPES]
    yield found
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    assert terminal is not None
    for each in found:
        terminal.write_line(f"{each.kind}: {each.served} {each.why}".rstrip())
    terminal.write_line(f"{Counter(each.served for each in found)}")


@pytest.mark.every_type
def test_every_type_agrees_or_is_refused(verdicts: list[Verdict]) -> None:
    assert [each for each in verdicts if each.served == "wrong"] == []
    assert sum(each.served in {"native", "bridge", "fallback"} for each in verdicts) >= 150


@pytest.mark.every_type
def test_the_list_of_types_is_what_was_tested(verdicts: list[Verdict]) -> None:
    known = model_types()
    if known.transformers != transformers.__version__:
        pytest.skip(f"the list was made with transformers {known.transformers}")
    assert {each.kind: each.served for each in verdicts} == {
        each.type: each.served for each in known.families
    }
