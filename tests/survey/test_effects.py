"""`attn survey --effects`: what heads add to the token that follows is what `attn effects` says of it."""

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.errors import AttnError
from attn_cli.models.hub.locate import EMBEDDED_DIRECTORY
from attn_cli.models.open import open_source
from attn_cli.models.source import Source, SourceRequest
from attn_cli.reading.effects.direct import direct_effects
from attn_cli.reading.effects.following import FollowingRun, following_of
from attn_cli.reading.reading import TextRequest, read
from attn_cli.show import data
from attn_cli.survey.measuring import Surveyor
from attn_cli.survey.records import Batch, Document, Measured, SurveyRequest
from attn_cli.vocabulary import DType, Metric
from tests.support.worlds import attn, refused

Exact = npt.NDArray[np.float64]

TEXT = "Tom Thumb went to sea, and Tom Thumb went home again, and Tom Thumb was glad."
TEXTS = (TEXT, "The red hen and the red fox ran to the red barn.", "The cat sat on the mat.")
CLOSE = {DType.FLOAT32: 2e-6, DType.FLOAT64: 1e-12}  # of the largest effect; both round in float32
LAYERS, HEADS, SIZE, WIDTH = 4, 8, 32, 256
TWINS = (
    *("llama", "llama, one key head", "llama, wide heads", "llama, biases"),
    *("gemma2, a low cap", "gemma3_text, a cap", "granite", "granite, tied", "olmo2", "gpt_neox", "qwen3"),
    *("bloom", "opt, no final norm", "phi", "mistral"),
)


def opened(model: str | None, dtype: DType = DType.FLOAT32) -> Source:
    return open_source(SourceRequest(model, device="cpu", dtype=dtype), os.environ)


def effects_of_rows(source: Source, text: str) -> tuple[Exact, list[int]]:
    """(T - 1, N) what each head adds at each row, and the tokens that follow."""
    reading = read(source, TextRequest(text))
    following = following_of(reading, None)
    assert following.rows == tuple(range(len(reading.tokens) - 1))
    run = FollowingRun(reading, following)
    assert [number for number, _ in run.layers([0, 1])] == [0, 1]  # others run too
    return run.of_rows(), list(following.tokens)


def agree_with_effects(source: Source, text: str, dtype: DType) -> None:
    found, tokens = effects_of_rows(source, text)
    heads = source.effects(read(source, TextRequest(text)).texts)
    expected = np.array(
        [
            [*direct_effects(heads.attribution(row), token, None).heads.values()]
            for row, token in enumerate(tokens)
        ]
    )
    largest = np.abs(expected).max()
    assert (np.abs(expected).max(axis=-1) > largest / 1e3).all()  # no row is lost in rounding
    np.testing.assert_allclose(found, expected, rtol=CLOSE[dtype], atol=CLOSE[dtype] * largest)


@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT64])
def test_every_row_of_storybook_is_that_of_attn_effects(dtype: DType) -> None:
    agree_with_effects(opened(None, dtype), TEXT, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("name", TWINS)
def test_every_row_of_a_family_is_that_of_attn_effects(name: str, tmp_path: Path) -> None:
    """Norms of both kinds, before and after, grouped heads, soft caps, scaled logits, parallel layers."""
    from tests.support.language_models import NEXT, HeadRecipe
    from tests.support.twins import TEXTS as OF_TWINS

    recipe = NEXT[name] if name in NEXT else HeadRecipe("LlamaForCausalLM", name)
    recipe.save(tmp_path)
    for dtype in CLOSE:
        agree_with_effects(opened(str(tmp_path), dtype), OF_TWINS[1], dtype)


def of_survey(row: int, *options: str) -> dict[tuple[int, int], dict[str, Any]]:
    """The metric of each head over one row of the text."""
    line = ("survey", "--effects", "--metric", "direct", "--rows", str(row), "--workers", "1", "--json")
    answer = attn(*line, *options, stdin=TEXT)
    assert answer.status == 0, answer.err
    return {(one["layer"], one["head"]): one for one in answer.document["survey"]}


def of_effects(row: int, token: str, *options: str) -> dict[tuple[int, int], float]:
    answer = attn("effects", TEXT, "--position", str(row), "--token", token, "--json", *options).document
    return {(one["layer"], one["head"]): one["effect"] for one in answer["direct"]["heads"]}


@pytest.mark.parametrize(("row", "token"), [(2, " Th"), (7, ","), (10, " Th"), (18, " Th")])
def test_a_row_of_a_survey_is_what_the_command_effects_says(row: int, token: str) -> None:
    options = ("--dtype", "float64")
    found, expected = of_survey(row, *options), of_effects(row, token, *options)
    assert found.keys() == expected.keys()
    for place, effect in expected.items():
        one = found[place]
        assert one["mean"] == pytest.approx(effect, rel=1e-9, abs=1e-12)
        assert (one["rows"], one["documents"]) == (1, 1)


def normed(x: Exact, weights: Mapping[str, Exact], name: str) -> Exact:
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return np.asarray(scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"])


def own_loop(ids: list[int]) -> Exact:
    """(T - 1, N) by a GPT-2 of its own, in float64: heads' outputs, normed as the whole stream is."""
    from safetensors.numpy import load_file

    raw = load_file(EMBEDDED_DIRECTORY / "model.safetensors")
    weights = {name.removeprefix("transformer."): value.astype(np.float64) for name, value in raw.items()}
    x = weights["wte.weight"][ids] + weights["wpe.weight"][: len(ids)]
    visible = np.tril(np.ones((len(ids), len(ids)), bool))
    written = list[Exact]()
    for layer in range(LAYERS):
        name = f"h.{layer}"
        entering = normed(x, weights, f"{name}.ln_1")
        fused = entering @ weights[f"{name}.attn.c_attn.weight"] + weights[f"{name}.attn.c_attn.bias"]
        x = x + weights[f"{name}.attn.c_proj.bias"]
        for head in range(HEADS):
            part = slice(head * SIZE, (head + 1) * SIZE)
            query, key, value = (each[:, part] for each in np.split(fused, 3, axis=-1))
            scores = np.where(visible, query @ key.T / np.sqrt(SIZE), -np.inf)
            rows = np.exp(scores - scores.max(axis=-1, keepdims=True))
            context = rows / rows.sum(axis=-1, keepdims=True) @ value
            written.append(context @ weights[f"{name}.attn.c_proj.weight"][part])
            x = x + written[-1]
        inner = normed(x, weights, f"{name}.ln_2") @ weights[f"{name}.mlp.c_fc.weight"]
        inner = inner + weights[f"{name}.mlp.c_fc.bias"]
        inner = 0.5 * inner * (1 + np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3)))
        x = x + inner @ weights[f"{name}.mlp.c_proj.weight"] + weights[f"{name}.mlp.c_proj.bias"]
    matrix, gain = weights["wte.weight"], weights["ln_f.weight"]
    found = np.zeros((len(ids) - 1, len(written)))
    for row, token in enumerate(ids[1:]):
        deviation = np.sqrt(x[row].var() + 1e-5)
        for head, each in enumerate(written):
            normed_part = (each[row] - each[row].mean()) / deviation * gain
            found[row, head] = normed_part @ (matrix[token] - matrix.mean(axis=0))
    return found


def test_an_own_loop_in_float64_finds_the_same() -> None:
    for dtype in CLOSE:
        source = opened(None, dtype)
        found, _ = effects_of_rows(source, TEXT)
        expected = own_loop([token.id for token in source.tokens(TEXT, None)])
        close = 1e-10 if dtype is DType.FLOAT64 else 2e-6
        np.testing.assert_allclose(found, expected, rtol=close, atol=close * np.abs(expected).max())


@pytest.mark.slow
def test_an_own_loop_over_the_modules_of_transformers_finds_the_same(tmp_path: Path) -> None:
    """RMSNorm, and two query heads to a key head."""
    import torch
    import transformers

    from tests.support.language_models import NEXT
    from tests.support.twins import TEXTS as OF_TWINS

    NEXT["llama"].save(tmp_path)
    source = opened(str(tmp_path), DType.FLOAT64)
    found, tokens = effects_of_rows(source, OF_TWINS[1])
    model = transformers.LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float64)
    config, contexts, left = model.config, list[Exact](), list[Exact]()
    assert model.model.layers[0].self_attn.num_key_value_groups == 2
    for layer in model.model.layers:
        layer.self_attn.o_proj.register_forward_pre_hook(
            lambda _, given: contexts.append(given[0][0].numpy())
        )
    model.model.norm.register_forward_pre_hook(lambda _, given: left.append(given[0][0].numpy()))
    ids = [token.id for token in source.tokens(OF_TWINS[1], None)]
    with torch.no_grad():
        model(torch.tensor([ids]))
        gain, matrix = model.model.norm.weight.numpy(), model.lm_head.weight.numpy()
        outputs = [layer.self_attn.o_proj.weight.numpy() for layer in model.model.layers]
    size, heads = int(config.head_dim or 0), int(config.num_attention_heads or 0)
    for row, token in enumerate(tokens):
        divisor = np.sqrt((left[0][row] ** 2).mean() + config.rms_norm_eps)
        read = matrix[token] - matrix.mean(axis=0)
        for layer, (context, output) in enumerate(zip(contexts, outputs, strict=True)):
            for head in range(heads):
                part = slice(head * size, (head + 1) * size)
                expected = (output[:, part] @ context[row, part]) / divisor * gain @ read
                close = pytest.approx(expected, rel=1e-5, abs=1e-5)  # its norms are in float32
                assert found[row, layer * heads + head] == close


def measured(*texts: str, **rest: Any) -> list[Measured]:
    surveyor = Surveyor(SurveyRequest(SourceRequest(), effects=True, **rest), os.environ)
    batch = Batch(0, tuple(Document("texts.txt", line, text) for line, text in enumerate(texts, 1)))
    result = surveyor.measure(0, batch)
    assert not result.unread
    assert surveyor.layout.metrics[-1] is Metric.DIRECT
    return list(result.measured)


def test_a_document_has_the_mean_of_its_rows_but_for_the_last_which_nothing_follows() -> None:
    source = opened(None)
    for text, found in zip(TEXTS, measured(*TEXTS), strict=True):
        rows, _ = effects_of_rows(source, text)
        np.testing.assert_allclose(found.values[-1], rows.mean(axis=0), rtol=1e-6, atol=1e-7)
        assert set(found.rows[-1]) == {found.passage.tokens - 1}


def test_the_last_row_alone_has_no_value() -> None:
    (found,) = measured(TEXT, rows="-1")
    assert np.isnan(found.values[-1]).all()
    assert not found.rows[-1].any()
    assert np.isfinite(found.values[0]).all()  # entropy


def test_other_numbers_have_the_same_bytes_as_without_effects() -> None:
    plain = Surveyor(SurveyRequest(SourceRequest()), os.environ)
    batch = Batch(0, tuple(Document("texts.txt", line, text) for line, text in enumerate(TEXTS, 1)))
    for without, found in zip(plain.measure(0, batch).measured, measured(*TEXTS), strict=True):
        assert found.values[:-1].tobytes() == without.values.tobytes()
        assert found.shares.tobytes() == without.shares.tobytes()


def test_what_follows_a_window_is_the_next_token_of_the_document() -> None:
    source = opened(None)
    of_document = [token.id for token in source.tokens(TEXT, None)]
    windows = measured(TEXT, window=8)
    assert len(windows) > 2
    seen = 0
    for number, window in enumerate(windows):
        reading = read(source, TextRequest(window.passage.text))
        is_last = number == len(windows) - 1
        seen += len(reading.tokens) - 1  # each begins with <s>
        after = None if is_last else of_document[1 + seen]
        following = following_of(reading, after)
        assert len(following.rows) == len(reading.tokens) - is_last
        run = FollowingRun(reading, following)
        list(run.layers(range(LAYERS)))
        np.testing.assert_allclose(window.values[-1], run.effects(), rtol=1e-6, atol=1e-7)
        assert set(window.rows[-1]) == {len(following.rows)}
        if not is_last:
            assert following.tokens[-1] == after


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A survey with effects in every kind of file, by two workers."""
    place = tmp_path_factory.mktemp("effects")
    (place / "texts.txt").write_text("\n".join(TEXTS * 12))
    out = [part for suffix in ("parquet", "csv", "json", "svg") for part in ("-o", place / f"found.{suffix}")]
    answer = attn(
        *("survey", place / "texts.txt", "--effects", *out, "--each", place / "each.csv", "--workers", "2")
    )
    assert answer.status == 0, answer.err
    return place


def test_one_worker_and_several_find_the_same_bytes(place: Path, tmp_path: Path) -> None:
    out, each = tmp_path / "found.csv", tmp_path / "each.csv"
    line = ("survey", place / "texts.txt", "--effects", "-o", out, "--each", each, "--workers", "1")
    assert attn(*line).status == 0
    assert out.read_bytes() == (place / "found.csv").read_bytes()
    assert each.read_bytes() == (place / "each.csv").read_bytes()


def test_the_files_have_the_metric_and_agree_with_the_schema(place: Path) -> None:
    answer = json.loads((place / "found.json").read_text())
    jsonschema.validate(answer, json.loads(data.schema()))
    rows = [row for row in answer["survey"] if row["metric"] == "direct"]
    assert len(rows) == LAYERS * HEADS
    assert {row["documents"] for row in rows} == {len(TEXTS) * 12}
    assert min(row["mean"] for row in rows) < 0 < max(row["mean"] for row in rows)
    with (place / "each.csv").open() as file:
        lines = list(csv.DictReader(file))
    own = [float(line["direct"]) for line in lines if (line["layer"], line["head"]) == ("2", "7")]
    (row,) = (row for row in rows if (row["layer"], row["head"]) == (2, 7))
    assert row["mean"] == pytest.approx(np.mean(own), rel=1e-12)
    assert row["deviation"] == pytest.approx(np.std(own, ddof=1), rel=1e-9)
    assert "mean direct" in (place / "found.svg").read_text()


@pytest.mark.parametrize("suffix", ["parquet", "csv", "json"])
def test_the_heads_of_a_file_are_sorted_and_filtered_by_it(place: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    line = ("heads", "--from", place / f"found.{suffix}", "--sort", "direct", "--where", "direct>0")
    answer = attn(*line, "--top", "0")
    expected = sorted(
        (
            (-row["mean"], f"{row['layer']}.{row['head']}")
            for row in json.loads((place / "found.json").read_text())["survey"]
            if row["metric"] == "direct" and row["mean"] > 0
        ),
    )
    table = answer.out.rpartition("head  pattern")[2].splitlines()
    assert [line.split()[0] for line in table[2:]] == [name for _, name in expected]
    assert "mean direct, layer × head" in answer.out


def test_an_interrupted_survey_goes_on_with_the_option_and_not_without(tmp_path: Path) -> None:
    texts, out, whole = tmp_path / "texts.txt", tmp_path / "found.json", tmp_path / "whole.json"
    texts.write_bytes(b"\n".join([*(text.encode() for text in TEXTS * 20), b"caf\xe9", b"the cat sat"]))
    line = ("survey", texts, "--workers", "1")
    assert attn(*line, "-o", out, "--effects", "--strict").status == 1
    status, problem, _ = refused(attn(*line, "-o", out, "--resume"))
    assert (status, problem.startswith(f"{out}.partial is of another survey: options was ")) == (2, True)
    assert attn(*line, "-o", out, "--effects", "--resume").status == 0
    assert attn(*line, "-o", whole, "--effects").status == 0
    assert out.read_bytes() == whole.read_bytes()


def test_without_the_option_the_metric_is_refused() -> None:
    problem = "direct is what heads do to predictions: it is not asked for"
    assert refused(attn("survey", "--metric", "direct", stdin=TEXT)) == (2, problem, "--effects")
    problem = "direct is about what the model predicts, which attn heads does not measure of a text"
    hint = "attn effects TEXT, or of many documents attn survey --effects"
    assert refused(attn("heads", TEXT, "--metric", "direct")) == (2, problem, hint)


def refused_model(model: str) -> tuple[str, str]:
    with pytest.raises(AttnError) as caught:
        Surveyor(SurveyRequest(SourceRequest(model, device="cpu"), effects=True), os.environ)
    return caught.value.problem, caught.value.hint


HINT = "a decoder such as storybook, or no --effects"


def test_a_model_without_predictions_is_refused_before_anything_is_measured() -> None:
    answer = attn("survey", "-m", "random", "--effects", stdin=TEXT)
    status, problem, hint = refused(answer)
    assert (status, hint) == (1, HINT)
    assert problem == refused(attn("effects", TEXT, "-m", "random"))[1]


@pytest.mark.slow
def test_models_whose_heads_have_no_effect_on_what_follows_are_refused(tmp_path: Path) -> None:
    from tests.support.families import TRANSLATORS
    from tests.support.language_models import MASKED, NEXT

    TRANSLATORS["t5"].save(tmp_path / "t5")
    MASKED["bert"].save(tmp_path / "masked")
    NEXT["opt, norms behind, narrow"].save(tmp_path / "normed")
    assert refused_model(str(tmp_path / "t5")) == (
        "t5 has no direct effects here: its decoder has no text",
        "attn effects TEXT --target TEXT, or no --effects",
    )
    problem = "masked predicts masked tokens, not the one that follows"
    assert refused_model(str(tmp_path / "masked")) == (problem, HINT)
    problem, hint = refused_model(str(tmp_path / "normed"))
    assert problem.endswith("does not add up to its logits: it normalises each layer's sum")
    assert hint == HINT
