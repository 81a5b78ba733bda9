"""Encoder, decoder and cross-attention, and layers that expose only some steps, in every view."""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import jsonschema
import numpy as np
import pytest
from safetensors import safe_open

from attn_cli.core.arrays import Array
from attn_cli.core.attention import LearnedSink
from attn_cli.core.hiding import Hiding
from attn_cli.core.masks import causal, everywhere
from attn_cli.core.multihead import MultiHeadAttention
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import metrics_of_kind
from attn_cli.core.streaming.pooling import Pooled
from attn_cli.core.streaming.row_metrics import RowMetrics, measure_weights
from attn_cli.core.streaming.stream import RowProgress
from attn_cli.models.backend import Backend, choose_backend
from attn_cli.models.head_labels import HeadLabel
from attn_cli.models.random_layer import vectors, words
from attn_cli.models.source import Card, Extent, Layer, SlidingWindow, Source, SourceRequest, Texts, of_layers
from attn_cli.models.tokens.token import Token, shift_right
from attn_cli.vocabulary import DType, Kind, Metric, Pool, Step
from tests.support.worlds import attn, refused

LAYERS = {Kind.ENCODER: range(3), Kind.DECODER: range(2), Kind.CROSS: range(2)}
START = Token(0, 0, "<s>", "<s>", 0, 0, special=True, segment=0)
LINE = ("the cat sat on", "--target", "le chat")
WHY = "transformers computes it inside"
CARD = Card("translator", "made", 3, 4, 4, 4, 16)
FLOAT64 = choose_backend("cpu", DType.FLOAT64)


@dataclass(frozen=True)
class OnlyWeights:
    """A layer that exposes only its logits and weights."""

    inner: Layer
    scale: None = None

    @property
    def heads(self) -> int:
        return self.inner.heads

    @property
    def mask(self) -> Array:
        return self.inner.mask

    @property
    def absent(self) -> Mapping[Step, str]:
        return dict.fromkeys(set(Step) - {Step.LOGITS, Step.WEIGHTS, Step.MASK}, WHY)

    def kv_head(self, head: int) -> int:
        return head

    def at(self, rows: Sequence[int]) -> "OnlyWeights":
        return replace(self, inner=self.inner.at(rows))

    def pooled(
        self, heads: Sequence[int], most: int, way: Pool = Pool.MEAN, hiding: Hiding | None = None
    ) -> Pooled:
        return self.inner.pooled(heads, most, way, hiding)

    def measure(
        self,
        heads: Sequence[int],
        metrics: Collection[Metric],
        tokens: KeyTokens,
        progress: RowProgress | None = None,
        hiding: Hiding | None = None,
    ) -> RowMetrics:
        assert hiding is None
        weights = self.steps(heads, {Step.WEIGHTS})[Step.WEIGHTS]
        if progress is not None:
            progress(len(self.mask), len(self.mask))
        return measure_weights(weights, self.mask, metrics, tokens)

    def result(self) -> Array:
        return self.inner.result()

    def steps(self, heads: Sequence[int], wanted: Collection[Step | str]) -> dict[Step, Array]:
        return self.inner.steps(heads, {Step(each) for each in wanted} - set(self.absent))

    def sink(self, heads: Sequence[int]) -> LearnedSink | None:
        return self.inner.sink(heads)


@dataclass(frozen=True)
class Translator:
    """A source with three encoder layers and two decoder layers of four heads."""

    kinds: Mapping[Kind, Extent]
    has_decoder: bool = True
    tells: Callable[[Layer], Layer] | None = None
    request: SourceRequest = field(default_factory=SourceRequest)
    card: Card = CARD
    backend: Backend = FLOAT64
    engine: str = "native"
    devices: tuple[str, ...] = ("cpu",)
    weights_held: int = 0
    takes_pairs: bool = False
    is_causal: bool = False
    longest: int | None = None
    is_bounded: bool = False
    narrowest_window: SlidingWindow | None = None
    remarks: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    weight_paths: tuple[Path, ...] = ()
    mask_pieces: tuple[str, ...] = ()

    def vocabulary(self, _kind: Kind) -> dict[int, str]:
        return dict(enumerate("abcdefghijklmnopqrstuvwxyz"))

    def tokens(self, text: str, _pair: str | None, *, is_chat: bool = False) -> tuple[Token, ...]:
        assert not is_chat
        return words(text)

    def count(
        self, text: str, _pair: str | None = None, *, is_chat: bool = False, is_target: bool = False
    ) -> int:
        assert not is_chat
        return len(words(text)) + is_target

    def token_columns(self, _text: str) -> None:
        pass

    def chat_template(self) -> None:
        pass

    def target_tokens(self, text: str) -> tuple[Token, ...]:
        return shift_right(START, words(text))

    def plain_tokens(self, text: str, _kind: Kind) -> tuple[Token, ...]:
        return words(text)

    def token_text(self, index: int, _kind: Kind) -> str:
        return str(index)

    def effects(self, *_: Any) -> NoReturn:
        """The tests ask for no effects."""
        raise AssertionError

    def predictor(self, *_: Any) -> NoReturn:
        raise AssertionError

    def check_generation(self, **_: Any) -> NoReturn:
        raise AssertionError

    def generate(self, *_: Any) -> NoReturn:
        raise AssertionError

    def writing(self, *_: Any) -> NoReturn:
        raise AssertionError

    @property
    def generation_weights(self) -> int:
        return 0

    @property
    def generation_remarks(self) -> tuple[str, ...]:
        return ()

    def check(self) -> None:
        pass

    def head_labels(self) -> tuple[HeadLabel, ...]:
        return ()

    def attentions(self, texts: Texts, kind: Kind, layers: Sequence[int]) -> Iterator[Layer]:
        queries, keys = (vectors(each, 16, 0) for each in (texts.queries(kind), texts.keys(kind)))
        mask = causal if kind is Kind.DECODER else everywhere
        each = (MultiHeadAttention.random(16, 4, seed=layer, mask=mask) for layer in range(6))
        attentions = (one.attention(queries, keys) for one in each)
        return of_layers(attentions if self.tells is None else map(self.tells, attentions), layers)

    def reference_model(self) -> None:
        pass

    def decomposed_input(self, *_: Any) -> NoReturn:
        raise AssertionError

    def with_backend(self, _backend: Backend) -> "Translator":
        return self

    def for_many_texts(self, room: float) -> "Translator":  # noqa: ARG002
        return self


def translator(**changed: Any) -> Source:
    """The translator, perhaps changed."""
    kinds = {kind: Extent(layers, 4) for kind, layers in LAYERS.items()}
    return replace(Translator(kinds), **changed)


@pytest.fixture(autouse=True)
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace every model by the translator, or by the source given as parameter."""
    made: Source = getattr(request, "param", None) or translator()
    monkeypatch.setattr("attn_cli.models.open.open_source", lambda *_, **__: made)


def only_weights() -> Source:
    return translator(tells=OnlyWeights)


def hybrid() -> Source:
    """A hybrid of six layers, of which the second and the fifth have attention."""
    return translator(kinds={Kind.ENCODER: Extent((1, 4), 4)})


def schema() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(attn("inspect", "--json-schema").out))


@pytest.mark.parametrize(
    ("kind", "queries", "keys"),
    [(Kind.ENCODER, 4, 4), (Kind.DECODER, 2, 2), (Kind.CROSS, 2, 4)],
)
def test_each_kind_has_its_own_queries_and_keys(kind: Kind, queries: int, keys: int) -> None:
    found = attn("inspect", *LINE, "--kind", kind, "-l", "1", "--json").document
    schema().validate(found)
    assert [token["piece"] for token in found["target_tokens"]] == ["<s>", "le"]
    assert found["target"] == "le chat"
    entry = found["attention"][2]
    assert (entry["kind"], entry["queries"], entry["keys"]) == (kind, [*range(queries)], [*range(keys)])
    assert np.shape(entry["steps"]["weights"]) == (queries, keys)


def test_the_encoder_is_shown_by_default() -> None:
    found = attn("inspect", "the cat sat on", "--json").document
    assert found["attention"][0]["kind"] == "encoder"
    assert "target_tokens" not in found


def test_a_cross_head_is_chosen_and_drawn_with_both_sides() -> None:
    answer = attn(
        "inspect", LINE[0], "--target", "le chat dort", "--kind", "cross", "-s", "weights", "--top", "1"
    )
    assert "cross attention" in answer.out
    assert answer.out.splitlines()[2:4] == ["0 the  1 cat  2 sat  3 on", "0 <s>  1 le  2 chat"]
    assert "of the 8 heads, it attends most sharply" in answer.err
    rows = [line for line in answer.out.splitlines() if "→" in line]
    assert [row.split(" →")[0].strip() for row in rows] == ["0 <s>", "1 le", "2 chat"]


def test_the_tokens_of_the_decoder_are_listed() -> None:
    out = attn("tokens", *LINE).out
    assert out.split("decoder tokens\n")[1].splitlines()[1].split()[:3] == ["0", "0", "<s>"]


def test_files_name_the_kind_and_label_both_sides(tmp_path: Path) -> None:
    paths = [tmp_path / f"a{suffix}" for suffix in (".npz", ".safetensors", ".csv")]
    out = [word for path in paths for word in ("-o", str(path))]
    attn("inspect", *LINE, "--kind", "cross", "--heads", "1.3", *out)
    with np.load(paths[0]) as arrays:
        assert arrays["cross.1.3.weights"].shape == (2, 4)
    with safe_open(paths[1], "numpy") as file:
        assert "cross.1.3.scores" in file.keys()  # noqa: SIM118  it is no dict
    line = list(csv.DictReader(io.StringIO(paths[2].read_text())))[7]
    assert (line["row_token"], line["column_token"]) == ("le", "on")


@pytest.mark.parametrize("command", ["heatmap", "compare"])
def test_unequal_lengths_are_drawn_and_compared(command: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    answer = attn(command, *LINE, "--kind", "cross", "--heads", "0.1,1.2", "-o", path)
    assert (answer.status, path.read_bytes()[:4]) == (0, b"\x89PNG")


def test_a_kind_that_the_model_lacks_is_named() -> None:
    problem = "translator has no self attention: it has encoder and decoder and cross"
    assert refused(attn("inspect", "x", "--kind", "self")) == (
        2,
        problem,
        "--kind encoder or decoder or cross",
    )


@pytest.mark.parametrize("kind", ["decoder", "cross"])
def test_a_decoder_needs_a_text(kind: str) -> None:
    problem = f"{kind} attention needs a text for the decoder, and none was given"
    assert refused(attn("inspect", "x", "--kind", kind)) == (2, problem, '--target "Le chat dormait"')


@pytest.mark.parametrize("source", [translator(has_decoder=False)], indirect=True)
def test_a_target_needs_a_decoder() -> None:
    problem = "translator has no decoder, so it takes no --target"
    assert refused(attn("tokens", "x", "--target", "y")) == (2, problem, "leave out --target")


@pytest.mark.parametrize("source", [only_weights()], indirect=True)
def test_without_scores_logits_and_weights_are_shown_with_the_reason() -> None:
    answer = attn("inspect", "the cat sat on", "--heads", "0.1")
    assert [line.split()[0] for line in answer.out.splitlines() if "range" in line] == ["logits", "weights"]
    assert answer.err == f"translator has no scores in encoder attention: {WHY}\n"
    found = attn("inspect", "the cat sat on", "--heads", "0.1", "--json").document
    schema().validate(found)
    (entry,) = found["attention"]
    assert (entry["scale"], entry["absent"], list(entry["steps"])) == (
        None,
        {"scores": WHY},
        ["logits", "weights"],
    )


@pytest.mark.parametrize("source", [only_weights()], indirect=True)
@pytest.mark.parametrize("step", ["scores", "queries", "output"])
def test_asking_for_an_absent_step_says_why(step: str) -> None:
    found = refused(attn("inspect", "x", "--heads", "0.1", "-s", step))
    assert found == (2, f"translator has no {step} in encoder attention: {WHY}", "--step logits or weights")


def test_a_step_that_one_kind_of_attention_lacks_is_not_said_to_be_lacking_in_the_model() -> None:
    answer = attn("inspect", *LINE, "--kind", "cross", "--heads", "0.1", "-s", "bias,mask")
    remark = "translator has no bias in cross attention: the layer adds no position bias"
    assert answer.err == f"{remark}\n"


@pytest.mark.parametrize("kind", LAYERS)
def test_a_picture_names_its_kind_of_attention(kind: Kind, tmp_path: Path) -> None:
    attn("heatmap", *LINE, "--kind", kind, "--heads", "0.1", "-o", tmp_path / "a.svg")
    assert f">layer 0, head 1 · {kind} attention" in (tmp_path / "a.svg").read_text("utf-8")


@pytest.mark.parametrize("source", [hybrid()], indirect=True)
def test_of_a_hybrid_the_layers_that_attend_are_shown() -> None:
    assert [
        entry["layer"]
        for entry in attn("inspect", "x", "-l", "0,1", "-H", "0", "--json").document["attention"]
    ] == [1]
    problem = "layer 2 of translator has no attention; layers with attention weights: 1, 4"
    assert refused(attn("inspect", "x", "-l", "2")) == (2, problem, "--layer 1")


@pytest.mark.parametrize("kind", LAYERS)
def test_heads_of_each_kind_have_the_metrics_that_make_sense_there(kind: Kind) -> None:
    found = attn("heads", *LINE, "--kind", kind, "--json").document
    schema().validate(found)
    assert found["metrics"] == [
        metric
        for metric in metrics_of_kind(kind)
        if not (metric in {Metric.SINK, Metric.HIDDEN, Metric.ON} or metric.is_written)
    ]
    assert [(each["kind"], each["layer"], each["head"]) for each in found["heads"]] == [
        (kind, layer, head) for layer in LAYERS[kind] for head in range(4)
    ]


def test_cross_attention_weighs_the_first_token_and_what_is_received_over_all_its_rows() -> None:
    found = attn("heads", *LINE, "--kind", "cross", "--json").document["heads"]
    full = attn("inspect", *LINE, "--kind", "cross", "-l", "all", "-s", "weights", "--json").document
    for head, entry in zip(found, full["attention"], strict=True):
        weights = np.array(entry["steps"]["weights"])
        assert head["first-token"] == pytest.approx(weights[:, 0].mean(), rel=1e-6)  # shown as float32
        assert head["received"] == pytest.approx(weights.sum(axis=0).max() / 2, rel=1e-6)


@pytest.mark.parametrize(
    "option", [("--metric", "induction"), ("--sort", "-induction"), ("--where", "induction>0")]
)
def test_what_cross_attention_lacks_is_refused(option: tuple[str, str]) -> None:
    problem = "cross attention has no induction: its queries and keys are different texts"
    hint = "one of entropy, largest, first-token, special, received, written, written-first"
    assert refused(attn("heads", *LINE, "--kind", "cross", *option)) == (2, problem, hint)


@pytest.mark.parametrize("source", [hybrid()], indirect=True)
def test_the_map_of_a_hybrid_has_the_layers_that_attend() -> None:
    answer = attn("heads", LINE[0], "--top", "0")
    title, heads, *layers = answer.out.split("\n\n")[1].splitlines()
    assert title.startswith("entropy, layer × head · 2 × 4 · ")
    assert heads.split() == ["0", "1", "2", "3"]
    assert [line.split()[0] for line in layers] == ["1", "4"]
    remarks = attn("heads", LINE[0], "-l", "0,1", "--top", "0").err.splitlines()
    assert remarks[0] == "layer 0 is skipped: it has no attention"


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_that_tell_only_their_weights_have_the_same_heads(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("the cat sat on the cat", "--target", "le chat le chat", "--kind", kind, "--json")
    whole = attn("heads", *line).document["heads"]
    monkeypatch.setattr("attn_cli.models.open.open_source", lambda *_, **__: only_weights())
    told = attn("heads", *line).document["heads"]
    for one, other in zip(whole, told, strict=True):
        assert (one["pattern"], one["layer"], one["head"]) == (
            other["pattern"],
            other["layer"],
            other["head"],
        )
        # shown as float32
        assert [one[each] for each in Metric if each in one] == [
            None if other[each] is None else pytest.approx(other[each], rel=1e-6, abs=1e-9)
            for each in Metric
            if each in other
        ]
