"""`attn explain`: its JSON beside that of `attn inspect`, its weights beside transformers, and its errors."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
import transformers

from attn_cli.core.multihead import Attention
from attn_cli.models.source import Layer
from attn_cli.show import data
from attn_cli.vocabulary import Lesson
from tests.support.every_type import save_twin
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.printed import read_page
from tests.support.reference import inputs_of, reference_of
from tests.support.sinks import Sinks
from tests.support.twins import RECIPES
from tests.support.worlds import attn, attn_in_terminal, refused

TEXT = "the cat sat on the mat, and the mat sat on the cat"
STEPS = "input,queries,keys,values,scores,bias,mask,logits,weights,context,output"
TWINS = {**RECIPES, **FAMILIES}
CLOSE = 2e-5  # float32: another order of sums; as tests/models compare layers
LONG = "the cat sat on the mat and the mat sat on the cat " * 110  # beyond 1,024 tokens


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of a twin, native or of the bridge, which is saved when it is first needed."""

    @cache
    def save(name: str) -> Path:
        place = tmp_path_factory.mktemp("explained")
        recipe = (TWINS | dict(TRANSLATORS)).get(name)
        if recipe is None:
            save_twin(name, place)
        else:
            recipe.save(place)
        return place

    return save


def _validated(document: dict[str, Any]) -> dict[str, Any]:
    """The field `explain` of a document that the schema allows."""
    jsonschema.Draft202012Validator(json.loads(data.schema())).validate(document)
    explained: dict[str, Any] = document["explain"]
    return explained


def _explained(*arguments: str | Path) -> dict[str, Any]:
    return _validated(attn("explain", *arguments, "--json").document)


def _is_inspected(head: list[str | Path], query: int, key: int, *more: str) -> dict[str, Any]:
    """Compare every number of one weight with `attn inspect`, to the last bit."""
    explained = _explained(*head, "--query", str(query), "--key", str(key))
    steps = list(STEPS.split(","))
    inspected = attn("inspect", *head, "-s", STEPS, *more, "--json").document["attention"][0]
    row = inspected["queries"].index(query)
    found = {
        name: inspected["steps"][name][row]
        for name in steps
        if name in inspected["steps"] and name not in {"keys", "values"}
    }
    for name in ("kind", "layer", "head", "kv_head"):
        assert explained[name] == inspected[name]
    assert explained["weight"] == found["weights"][key]
    if "logits" in found:
        assert explained["logit"] == found["logits"][key]
        assert explained["masked"] == (found["logits"][key] is None)
        assert [one["logit"] for one in explained["row"]] == [
            found["logits"][one["key"]] for one in explained["row"]
        ]
    assert [one["weight"] for one in explained["row"]] == [
        found["weights"][one["key"]] for one in explained["row"]
    ]
    assert explained["context"] == found.get("context")
    assert explained["output"] == found.get("output")
    if "scores" in found:
        assert explained["score"] == found["scores"][key]
        assert explained["scale"] == inspected["scale"]
        assert explained["bias"] == found.get("bias", {key: None})[key]
        assert [one["query"] for one in explained["features"]] == found["queries"]
        assert [one["key"] for one in explained["features"]] == inspected["steps"]["keys"][key]
        assert [one["feature"] for one in explained["features"]] == [*range(len(found["queries"]))]
    return explained


@pytest.mark.parametrize("name", TWINS)
def test_json_is_that_of_inspect_to_the_last_bit(name: str, saved: Callable[[str], Path]) -> None:
    dtype = ("float32", "float16", "bfloat16", "float64")[len(name) % 4]
    head: list[str | Path] = [TEXT, "-m", saved(name), "-l", "1", "-H", "2"]
    _is_inspected(head, 9, 4)
    explained = _is_inspected([*head, "--dtype", dtype], 5, 2)
    products = [one["query"] * one["key"] for one in explained["features"]]
    assert [one["product"] for one in explained["features"]] == pytest.approx(products, rel=1e-6)


@pytest.mark.parametrize("name", TRANSLATORS)
@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_json_of_an_encoder_decoder_is_that_of_inspect(
    name: str, kind: str, saved: Callable[[str], Path]
) -> None:
    target = [] if kind == "encoder" else ["--target", "the mat and the cat"]
    head: list[str | Path] = [TEXT, "-m", saved(name), "--kind", kind, *target, "-l", "1", "-H", "1"]
    _is_inspected(head, 3, 2)


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_json_of_a_long_text_is_that_of_inspect_of_its_row(name: str, saved: Callable[[str], Path]) -> None:
    options = ["--kind", "encoder"] if name == "t5" else []
    head: list[str | Path] = [LONG, "-m", saved(name), *options, "-l", "1", "-H", "2"]
    explained = _is_inspected(head, 1300, 7, "--rows", "1300")
    weights = attn("inspect", *head, "-s", "weights", "--rows", "1300", "--json").document["attention"][0]
    row = weights["steps"]["weights"][0]
    assert len(row) > 1024
    assert explained["total"] == pytest.approx(sum(row) * explained["total"], rel=1e-5)


def test_the_exponentials_of_a_row_are_those_of_its_logits(twins: Path) -> None:
    explained = _explained(TEXT, "-m", twins / "bert", "-l", "1", "-H", "2", "--query", "3", "--top", "40")
    row = explained["row"]
    logits = np.array([one["logit"] for one in row])
    powers = np.exp(logits - explained["largest"])
    np.testing.assert_allclose([one["exponential"] for one in row], powers, rtol=1e-6)  # float32
    assert explained["largest"] == logits.max()
    assert explained["total"] == pytest.approx(powers.sum(), rel=1e-6)
    assert explained["sink"] is None
    np.testing.assert_allclose([one["weight"] for one in row], powers / powers.sum(), rtol=1e-6)


def test_without_key_it_is_the_one_with_the_largest_weight(twins: Path) -> None:
    head: list[str | Path] = [TEXT, "-m", twins / "gpt2", "-l", "1", "-H", "2"]
    weights = attn("inspect", *head, "-s", "weights", "--json").document["attention"][0]["steps"]["weights"]
    explained = _explained(*head, "--query", "9")
    assert explained["key"] == int(np.argmax(weights[9]))


def test_a_masked_key_has_no_logit_and_no_weight(twins: Path) -> None:
    explained = _explained(TEXT, "-m", twins / "gpt2", "-l", "1", "-H", "2", "--query", "3", "--key", "5")
    assert (explained["masked"], explained["logit"], explained["weight"]) == (True, None, 0)
    assert explained["score"] is not None
    assert [one["key"] for one in explained["row"]] == [0, 1, 2, 3]


def test_the_soft_cap_is_in_json(saved: Callable[[str], Path]) -> None:
    head: list[str | Path] = [TEXT, "-m", saved("gemma2"), "-l", "1", "-H", "2", "--query", "3", "--key", "2"]
    explained = _explained(*head)
    assert explained["softcapped"] == pytest.approx(5 * np.tanh(explained["score"] / 5), rel=1e-5)
    assert explained["logit"] == explained["softcapped"]


@pytest.mark.parametrize("sink", [np.array([40.0, 1.0]), np.linspace(-3, 3, 12).reshape(2, 6)])
def test_a_learned_sink_is_part_of_the_total(
    sink: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attn_cli.models.open.open_source", lambda *_, **__: Sinks(sink))
    where = ["the cat sat on the mat", "-l", "0", "-H", "1", "--query", "3"]
    explained = _explained(*where)
    total = sum(one["exponential"] for one in explained["row"]) + explained["sink"]["exponential"]
    assert explained["total"] == pytest.approx(total, rel=1e-6)
    assert explained["sink"]["logit"] == pytest.approx(sink[1] if sink.ndim == 1 else sink[1, 3])
    weight = explained["sink"]["exponential"] / explained["total"]
    assert explained["sink"]["weight"] == pytest.approx(weight, rel=1e-6)
    page = attn("explain", *where).out
    assert "the learned sink" in page
    read_page(page)


@pytest.mark.slow  # transformers runs the models
@pytest.mark.parametrize("name", ["gpt_oss", "cohere", "gpt_bigcode", "stablelm", "diffllama"])
def test_json_over_the_bridge_is_that_of_inspect(name: str, saved: Callable[[str], Path]) -> None:
    head: list[str | Path] = ["the cat sat on the mat", "-m", saved(name), "-l", "1", "-H", "1"]
    explained = _is_inspected(head, 3, 2)
    if name == "gpt_oss":
        assert explained["sink"]["weight"] > 0
    page = attn("explain", *head, "--query", "3", "--key", "2")
    assert read_page(page.out).row


@pytest.mark.slow  # a twin of each family beside transformers
@pytest.mark.parametrize("name", TWINS)
def test_the_weights_of_the_row_are_those_of_transformers(name: str, saved: Callable[[str], Path]) -> None:
    directory = saved(name)
    eager = reference_of(directory, inputs_of(directory, TEXT)).weights[1][2, 9]
    explained = _explained(TEXT, "-m", directory, "-l", "1", "-H", "2", "--query", "9", "--top", "40")
    for one in explained["row"]:
        assert one["weight"] == pytest.approx(eager[one["key"]], abs=CLOSE)
    assert sum(one["weight"] for one in explained["row"]) == pytest.approx(1, abs=1e-6)


_OUTPUTS = (
    r"(layers?|h|block|albert_layers)\.1\.((self_)?attn|(self_)?attention|attn\.attention|SelfAttention"
    r"|attention\.output|attention\.attn)\.(o_proj|c_proj|out_proj|out_lin|dense|o|Wo)$"
)
"""The last linear map of the attention of layer 1, by the names that transformers' families give it."""


@pytest.mark.slow  # a twin of each family beside transformers
@pytest.mark.parametrize("name", [name for name in TWINS if not name.startswith("albert")])
def test_the_output_of_the_layer_is_that_of_transformers(name: str, saved: Callable[[str], Path]) -> None:
    directory = saved(name)
    head: list[str | Path] = [TEXT, "-m", directory, "-l", "1", "-H", "2", "--query", "9", "--digits", "7"]
    page = read_page(attn("explain", *head).out)
    output = _output_of_layer_1(directory)[9]
    printed = float(page.stages["layer"])
    scale = max(1.0, float(np.abs(output).max()))
    assert printed == pytest.approx(output[int(page.stages["layer feature"])], abs=CLOSE * scale)


def _output_of_layer_1(directory: Path) -> np.ndarray[Any, Any]:
    """(T, M) what transformers' own module computes."""
    model = transformers.AutoModel.from_pretrained(directory, attn_implementation="eager").eval()
    (module,) = (module for place, module in model.named_modules() if re.search(_OUTPUTS, place))
    outputs: list[torch.Tensor] = []
    module.register_forward_hook(lambda _module, _given, output: outputs.append(output))
    given = inputs_of(directory, TEXT)
    with torch.no_grad():
        model(torch.tensor([list(given.ids)]))
    return outputs[0].reshape(-1, outputs[0].shape[-1]).numpy()


# Forms


@pytest.mark.parametrize("lang", ["en", "pt"])
@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_a_terminal_has_no_line_wider_than_it_is(width: str, lang: str, twins: Path) -> None:
    head: list[str | Path] = [TEXT, "-m", twins / "llama", "-l", "1", "-H", "2", "--query", "9"]
    answer = attn_in_terminal("explain", *head, "--lang", lang, COLUMNS=width)
    assert answer.status == 0
    assert "\x1b" not in answer.out
    assert max(map(len, answer.out.splitlines())) <= int(width)


def test_each_kind_of_file_is_written(twins: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("page.txt", "page.md", "page.json")]
    head: list[str | Path] = [TEXT, "-m", twins / "llama", "-l", "1", "-H", "2", "--query", "9"]
    answer = attn("explain", *head, *(word for file in files for word in ("-o", file)))
    assert answer.status == 0
    assert "2. The score" in files[0].read_text()
    assert "## 2. The score" in files[1].read_text()
    assert _validated(json.loads(files[2].read_text())) == _explained(*head)


def test_the_language_is_that_of_the_environment(twins: Path) -> None:
    head: list[str | Path] = [TEXT, "-m", twins / "llama", "-l", "1", "-H", "2", "--query", "9"]
    spoken = attn("explain", *head, LANG="pt_BR.UTF-8").out
    assert spoken == attn("explain", *head, "--lang", "pt").out
    assert spoken != attn("explain", *head, LANG="de_DE.UTF-8").out
    assert attn("explain", *head, LANG="de_DE.UTF-8").out == attn("explain", *head, "--lang", "en").out


def test_over_is_in_json_and_in_the_schema() -> None:
    where = ["the cat sat on the mat", "-l", "2", "-H", "1", "--query", "6", "--key", "2", "--over", "3"]
    document = attn("explain", *where, "--json").document
    explained = _validated(document)
    assert document["over"]["key"] == 3
    assert document["over"]["scores"][0] == pytest.approx(explained["score"], rel=1e-6)


@pytest.mark.parametrize("lesson", Lesson)
def test_a_lesson_is_in_json_and_in_the_schema(lesson: Lesson) -> None:
    where = [TEXT, "-l", "2", "-H", "1", "--query", "6", "--lesson", lesson.value]
    document = attn("explain", *where, "--json").document
    _validated(document)
    assert document["lesson"]["name"] == lesson
    assert document["lesson"]["place"] == [2, 1]


def test_the_numbers_of_a_lesson_are_those_of_its_study() -> None:
    where = [TEXT, "-l", "2", "-H", "1", "--query", "6"]
    lesson = attn("explain", *where, "--lesson", "mask", "--json").document["lesson"]
    row = attn("inspect", TEXT, "-l", "2", "-H", "1", "-s", "weights", "--json").document["attention"][0]
    assert lesson["masked"]["weights"] == pytest.approx(row["steps"]["weights"][6], abs=1e-6)  # float32
    assert lesson["masked"]["logits"][7:] == [None] * (len(lesson["hidden"]) - 7)
    assert lesson["hidden"][6:8] == [False, True]
    assert lesson["reasons"][7]["cause"] == "causal"


def test_a_lesson_is_in_a_json_file_beside_its_page(tmp_path: Path) -> None:
    where = [TEXT, "-l", "2", "-H", "1", "--query", "6", "--lesson", "scale"]
    files = [tmp_path / "page.md", tmp_path / "page.json"]
    assert attn("explain", *where, *(word for file in files for word in ("-o", file))).status == 0
    assert "# Why are scores divided" in files[0].read_text()
    assert json.loads(files[1].read_text())["lesson"]["size"] == 32


def test_one_token_alone_looks_at_itself(twins: Path) -> None:
    answer = attn("explain", "a", "-m", twins / "gpt2", "-l", "0", "-H", "0")
    assert answer.out.endswith('"a" (0) puts 1.0000 of its weight on "a" (0), the only key it may look at.\n')
    read_page(answer.out)


# Errors


@pytest.mark.parametrize(
    ("options", "status", "problem", "hint"),
    [
        ("--heads 0.1,1.2", 2, "attn explain shows one head, and 2 are chosen", "--heads 0.1"),
        ("-l 1", 2, "attn explain shows one head, and 8 are chosen", "--heads 1.0"),
        (
            "-l 0 -H 1 --query 1,2",
            2,
            "--query takes one token, and '1,2' selects 2: 1 'the', 2 'cat'",
            "--query 1",
        ),
        (
            "-l 0 -H 1 --key the",
            2,
            "--key takes one token, and 'the' selects 2: 1 'the', 5 'the'",
            "--key 1, or --key the@1",
        ),
        (
            "-l 0 -H 1 --query 99",
            2,
            "query 99 does not exist: the text has 7 tokens, numbered 0 to 6",
            "--query 6",
        ),
        (
            "-l 0 -H 1 --key -8",
            2,
            "key -8 does not exist: the text has 7 tokens, numbered 0 to 6",
            "--key 6",
        ),
        (
            "--lesson scale --key 2",
            2,
            "--lesson scale is about all keys of a row, so --key 2 has no effect on it",
            "leave out --key, or --lesson heads",
        ),
        (
            "--query dog",
            2,
            "'dog' is not a word of the text: the cat sat on the mat",
            "--query 0, or a word of the text: attn tokens lists the tokens",
        ),
        ("-l 9 -H 0", 2, "layer 9 does not exist: storybook has 4, numbered 0 to 3", "--layer 3"),
        ("--digits 10", 2, "--digits takes a whole number from 1 to 9, not '10'", "--digits 9"),
        ("--top 0", 2, "--top takes a whole number of at least 1, not '0'", "--top 1"),
        ("--lang fr", 2, "--lang cannot be 'fr': it must be one of en, pt", "attn explain --help"),
        (
            "-o page.png",
            2,
            "this command writes no '.png' file: page.png",
            "attn heatmap for a picture, or a name that ends in .md, .txt or .json",
        ),
    ],
)
def test_a_wrong_choice_is_refused(options: str, status: int, problem: str, hint: str) -> None:
    answer = attn("explain", "the cat sat on the mat", *options.split())
    assert refused(answer) == (status, problem, hint)


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("mine")
    answer = attn("explain", "the cat sat", "-o", file)
    assert refused(answer) == (
        1,
        f"the file exists: {file}",
        "--force to overwrite it, or another name",
    )
    assert file.read_text() == "mine"


def test_a_hidden_key_is_explained_with_the_reason() -> None:
    answer = attn("explain", "the cat sat on the mat", "-l", "0", "-H", "1", "--query", "2", "--key", "5")
    assert answer.status == 0
    assert answer.out.startswith('Why does "cat" (2) not look at "the" (5)?\n')
    reason = "it comes after the query (5 > 2), and this attention is causal"
    assert f"The mask hides this key: {reason}. So its logit is -∞ and its weight 0.\n" in answer.out
    assert "logit = " not in answer.out


def test_where_the_key_is_hidden_the_value_is_that_of_the_largest_weight(twins: Path) -> None:
    head: list[str | Path] = [TEXT, "-m", twins / "gpt2", "-l", "1", "-H", "1", "--query", "4", "--key", "6"]
    best = max(_explained(*head)["row"], key=lambda one: one["weight"])["key"]
    page = attn("explain", *head).out
    assert re.findall(r'^The value of ".*" \((\d+)\):$', page, re.MULTILINE) == [str(best)]
    assert read_page(page).value_key == best != 6


@pytest.mark.parametrize(
    ("name", "kind", "opening"),
    [
        ("gpt2", [], "Head 1.1 of gpt2."),
        ("bart", ["encoder"], "Head 1.1 of the encoder of bart."),
        ("bart", ["decoder"], "Head 1.1 of the decoder of bart."),
        ("bart", ["cross"], "Cross-attention head 1.1 of bart."),
    ],
)
def test_the_head_is_named_with_its_kind(name: str, kind: list[str], opening: str, tmp_path: Path) -> None:
    (TWINS | dict(TRANSLATORS))[name].save(tmp_path / name)
    options = ["--kind", *kind, "--target", "the cat sat"] if kind else []
    page = attn("explain", TEXT, "-m", tmp_path / name, "-l", "1", "-H", "1", "--query", "1", *options).out
    assert page.split("\n")[1].startswith(f"{opening} Each result follows ")
    assert ("for the query it comes from the decoder" in page) == (kind == ["cross"])


@pytest.mark.parametrize(
    ("name", "formula"), [("gpt2", "q = W^Q x + b,  k = W^K x + b"), ("llama", "q = W^Q x,  k = W^K x")]
)
def test_the_formula_has_a_bias_only_where_the_model_has_one(
    name: str, formula: str, saved: Callable[[str], Path]
) -> None:
    page = attn("explain", TEXT, "-m", saved(name), "-l", "1", "-H", "1", "--query", "-1").out
    assert f"\n    {formula}\n" in page


def test_lists_have_six_lines_by_default(saved: Callable[[str], Path]) -> None:
    page = attn("explain", TEXT, "-m", saved("gpt2"), "-l", "1", "-H", "1", "--query", "-1").out
    tables = re.findall(r"^feature of x .*\n((?:\d+ .*\n)+)the other 26 ", page, re.MULTILINE)
    assert [len(table.splitlines()) for table in tables] == [6, 6, 6]


@pytest.mark.parametrize(
    ("name", "query", "rule"),
    [
        ("gpt2", "4", ": it is causal, so later keys are hidden"),
        ("mistral", "6", ": it is causal and has a window, so later keys and those too far back are hidden"),
        ("mistral", "-1", ": keys that are too far back are outside the window"),
        ("modernbert", "7", ": keys that are too far away are outside the window"),
    ],
)
def test_the_sentence_on_the_mask_names_its_rule(
    name: str, query: str, rule: str, saved: Callable[[str], Path]
) -> None:
    page = attn("explain", TEXT, "-m", saved(name), "-l", "1", "-H", "1", "--query", query).out
    assert re.search(rf"^The mask lets .* keys, including this one{re.escape(rule)}\.$", page, re.MULTILINE)
    read_page(page)


class _Blind(Sinks):
    """The layers of a random source, in which no query may look anywhere."""

    def attentions(self, *given: Any) -> Iterator[Layer]:
        for layer in super().attentions(*given):
            assert isinstance(layer, Attention)
            yield replace(layer, operands=replace(layer.operands, mask=lambda query, key: query + key < 0))


@pytest.mark.parametrize("sink", [None, np.array([1.0, 2.0])])
def test_a_query_that_sees_nothing_writes_nothing(
    sink: np.ndarray[Any, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attn_cli.models.open.open_source", lambda *_, **__: _Blind(sink))
    where = ["the cat sat", "-l", "0", "-H", "0", "--query", "1"]
    explained = _explained(*where)
    assert (explained["row"], explained["weight"]) == ([], 0)
    assert set(explained["output"]) == {0}
    page = attn("explain", *where).out
    read_page(page)
    assert page.endswith('"cat" (1) may look at no key, so this head writes nothing for it.\n')
    assert ("the whole row is zeros" in page) == (sink is None)


def test_a_text_of_3000_tokens_has_its_largest_keys_and_the_rest_in_one_line(
    saved: Callable[[str], Path],
) -> None:
    text = "the cat sat on the mat and the mat sat on the cat " * 220
    where: list[str | Path] = [
        text,
        "-m",
        saved("llama"),
        "-l",
        "1",
        "-H",
        "2",
        "--query",
        "-1",
        "--top",
        "4",
    ]
    page = attn("explain", *where).out
    read = read_page(page)
    (rest,) = (label for label in read.row if label.startswith("the other "))
    unlisted = int(rest.split(" ")[2].replace(",", ""))
    assert unlisted + len(read.row) - 1 == read.query + 1 > 3000
    assert len(page.splitlines()) < 150
