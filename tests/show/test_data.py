"""Data files: the computed numbers, bit for bit, in formats that other programs read."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jsonschema import Draft202012Validator
from safetensors import safe_open
from safetensors.numpy import load

from attn_cli.errors import AttnError
from attn_cli.grid import Head
from attn_cli.show import data
from attn_cli.show.writers import COMPARISONS, STEPS, Results
from attn_cli.vocabulary import Distance, DType, Kind, Step

INFINITY = float("inf")
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
MATRICES = arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=FLOATS)


def a_head(kind: Kind = Kind.SELF, layer: int = 0, head: int = 3, **steps: Any) -> Head:
    """A head over the tokens 0 and 1 with `steps`; lists become float32."""
    made = {
        Step(word): numbers if isinstance(numbers, np.ndarray) else np.array(numbers, np.float32)
        for word, numbers in steps.items()
    }
    return Head(kind, layer, head, 1, 32**-0.5, (0, 1), (0, 1), made)


def tokens(*texts: str) -> list[dict[str, object]]:
    return [
        {"position": i, "id": 7, "piece": text, "text": text, "start": i, "end": i + 1}
        | {"special": False, "segment": 0}
        for i, text in enumerate(texts)
    ]


def a_document(*texts: str, **more: object) -> dict[str, Any]:
    """What `attn tokens` prints, with `more`."""
    sizes = {"layers": 6, "heads": 12, "kv_heads": 12, "head_size": 32, "width": 384}
    return {
        "schema": 1,
        "attn": "0.1.0",
        "model": {"name": "tiny", "type": "bert", **sizes},
        "engine": "native",
        "library": "numpy",
        "device": "cpu",
        "dtype": "float32",
        "text": "Olá",
        "pair": None,
        "tokens": tokens(*(texts or ("a", "b"))),
    } | more


def inspected(*heads: Head, **more: object) -> dict[str, Any]:
    return a_document(attention=data.attention_entries(heads), **more)


def compared(**more: object) -> dict[str, Any]:
    items = {"kind": "self", "distance": "cosine", "items": ["0.1", "3.4"]}
    return a_document(**items, matrix=np.array([[0, 0.25], [0.25, 0]]), **more)


def encoded(suffix: str, document: Mapping[str, object], heads: Sequence[Head]) -> bytes:
    """The content of a file with this name, as written by `compare` or `inspect`."""
    return (COMPARISONS if "matrix" in document else STEPS).encode(suffix, Results(document, heads))


def steps_of(text: str) -> Any:
    """The steps of the first head of a JSON text; NaN and Infinity in it fail."""
    return json.loads(text, parse_constant=pytest.fail)["attention"][0]["steps"]


def table(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def column(content: bytes, name: str) -> list[str]:
    header, *lines = table(content)
    return [line[header.index(name)] for line in lines]


def problem_of(error: pytest.ExceptionInfo[AttnError]) -> tuple[str, str]:
    return error.value.problem, error.value.hint


def test_json_is_laid_out_a_row_of_a_matrix_on_a_line() -> None:
    head = a_head(mask=np.array([[True, False], [True, True]]), logits=[[0.1, -INFINITY], [-3, 1e-20]])
    document = {"schema": 1, "text": "Olá\n", "pair": None, "attention": data.attention_entries([head])}
    assert data.as_json(document) == "\n".join(  # noqa: FLY002
        [
            "{",
            ' "schema": 1,',
            r' "text": "Ol\u00e1\n",',
            ' "pair": null,',
            ' "attention": [',
            "  {",
            '   "kind": "self",',
            '   "layer": 0,',
            '   "head": 3,',
            '   "kv_head": 1,',
            '   "scale": 0.17677669,',
            '   "queries": [0, 1],',
            '   "keys": [0, 1],',
            '   "steps": {',
            '    "mask": [',
            "     [true, false],",
            "     [true, true]",
            "    ],",
            '    "logits": [',
            "     [0.1, null],",
            "     [-3.0, 1e-20]",
            "    ]",
            "   }",
            "  }",
            " ]",
            "}",
        ]
    )


def test_small_objects_keep_to_a_line() -> None:
    assert data.as_json({"model": {"layers": 6}, "none": [], "tokens": [{"id": 1}, {"id": 2}]}) == (
        '{\n "model": {"layers": 6},\n "none": [],\n "tokens": [\n  {"id": 1},\n  {"id": 2}\n ]\n}'
    )


@given(MATRICES)
def test_every_float32_reads_back_from_json_to_the_bit(matrix: npt.NDArray[np.float32]) -> None:
    text = data.as_json(inspected(a_head(scores=matrix)))
    assert np.array(steps_of(text)["scores"], np.float32).tobytes() == matrix.tobytes()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float64_reads_back_from_json_to_the_bit(number: float) -> None:
    text = data.as_json({"matrix": np.array([[number]]), "own": number})
    assert text == f'{{\n "matrix": [\n  [{number!r}]\n ],\n "own": {number!r}\n}}'


@given(FLOATS)
def test_no_shorter_decimal_reads_back(number: float) -> None:
    text = data.as_json({"number": np.float32(number)}).removeprefix('{"number": ').removesuffix("}")
    digits = len(text.split("e")[0].strip("-").replace(".", "").strip("0"))
    shorter = f"{number:.{digits - 2}e}" if digits > 1 else "0"
    assert number == 0 or np.float32(shorter) != np.float32(number)


@given(st.text(st.characters()))
def test_any_text_survives_json_in_ascii(text: str) -> None:
    written = encoded(".json", a_document(text), ())
    assert all(byte == ord("\n") or ord(" ") <= byte <= ord("~") for byte in written)
    assert json.loads(written)["tokens"][0]["text"] == text


def test_half_a_surrogate_pair_breaks_nothing() -> None:
    written = encoded(".json", {"text": "\udcff\ud83d"}, ())
    assert written == b'{"text": "\\udcff\\ud83d"}\n'
    assert json.loads(written)["text"] == "\udcff\ud83d"


@pytest.mark.parametrize(("number", "word"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_a_number_that_is_not_finite_is_named(suffix: str, number: float, word: str) -> None:
    head = a_head(layer=2, head=5, weights=[[1, 0], [0, number]])
    with pytest.raises(AttnError) as caught:
        encoded(suffix, inspected(head), [head])
    assert problem_of(caught) == (
        f"not a finite number in the weights of self 2.5: {word}",
        "--dtype float32 or float64, or a .npz file, which keeps such numbers",
    )


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_only_minus_infinity_means_masked(suffix: str, number: float) -> None:
    head = a_head(Kind.CROSS, logits=[[number, -INFINITY]] * 2)
    document = inspected(head, target_tokens=tokens("a", "b"))
    with pytest.raises(AttnError, match=f"^not a finite number in the logits of cross 0.3: {number}$"):
        encoded(suffix, document, [head])


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"heads": [{"kind": "self", "layer": 1, "head": 2, "entropy": INFINITY}]}, "entropy of self 1.2"),
        ({"tolerance": np.float32(INFINITY)}, "tolerance"),
        ({"items": [], "matrix": np.array([[INFINITY]])}, "matrix"),
    ],
)
def test_a_number_outside_the_steps_is_finite_too(document: Mapping[str, object], place: str) -> None:
    with pytest.raises(AttnError, match=f"^not a finite number in the {place}: inf$"):
        data.as_json(document)


def test_the_scale_has_the_precision_it_was_used_in() -> None:
    half, single, double = (a_head(scores=np.ones((2, 2), f"f{size}")) for size in (2, 4, 8))
    scales = [entry["scale"] for entry in data.attention_entries([half, single, double])]
    assert scales == [0.17677669, 0.17677669, 32**-0.5]


def test_npz_names_its_arrays_and_keeps_them_to_the_bit() -> None:
    logits = np.array([[0.1, -np.inf], [np.nan, 1]], np.float32)
    mask = np.broadcast_to(np.array([True, False]), (2, 2))
    content = encoded(".npz", a_document(), [a_head(logits=logits, mask=mask)])
    with np.load(io.BytesIO(content), allow_pickle=False) as held:
        assert sorted(held) == ["meta", "self.0.3.logits", "self.0.3.mask"]
        assert held["self.0.3.logits"].tobytes() == logits.tobytes()
        assert held["self.0.3.logits"].dtype == np.float32
        assert held["self.0.3.mask"].tolist() == mask.tolist()
        assert held["self.0.3.mask"].dtype == bool


def test_safetensors_names_its_arrays_and_keeps_them_to_the_bit() -> None:
    logits = np.array([[0.1, -np.inf], [np.nan, 1]], np.float32).T
    mask = np.broadcast_to(np.array([True, False]), (2, 2))
    held = load(encoded(".safetensors", a_document(), [a_head(logits=logits, mask=mask)]))
    assert sorted(held) == ["self.0.3.logits", "self.0.3.mask"]
    assert held["self.0.3.logits"].tobytes() == logits.tobytes()
    assert held["self.0.3.logits"].dtype == np.float32
    assert held["self.0.3.mask"].tolist() == mask.tolist()
    assert held["self.0.3.mask"].dtype == bool


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_binary_file_keeps_the_number_format(dtype: type[np.floating[Any]]) -> None:
    head = a_head(weights=np.eye(2, dtype=dtype))
    with np.load(io.BytesIO(data.as_npz({}, [head]))) as held:
        assert held["self.0.3.weights"].dtype == dtype
    assert load(data.as_safetensors({}, [head]))["self.0.3.weights"].dtype == dtype


def metas(content: Mapping[str, bytes], directory: Any) -> list[Any]:
    """The metadata of each of the two binary files."""
    with np.load(io.BytesIO(content[".npz"]), allow_pickle=False) as held:
        of_npz = json.loads(held["meta"].item())
    (directory / "x.safetensors").write_bytes(content[".safetensors"])
    with safe_open(directory / "x.safetensors", "numpy") as opened:
        return [of_npz, json.loads(opened.metadata()["meta"])]


def test_a_binary_file_carries_the_rest_of_the_object(tmp_path: Any) -> None:
    head = a_head(weights=np.eye(2))
    document = inspected(head)
    content = {suffix: encoded(suffix, document, [head]) for suffix in (".npz", ".safetensors")}
    document["attention"][0].pop("steps")
    assert metas(content, tmp_path) == [document, document]


def test_a_comparison_is_an_array_too(tmp_path: Any) -> None:
    document = compared(difference=np.ones((1, 3)))
    content = {suffix: encoded(suffix, document, ()) for suffix in (".npz", ".safetensors")}
    held = load(content[".safetensors"])
    assert held["matrix"].tolist() == [[0, 0.25], [0.25, 0]]
    assert held["difference"].shape == (1, 3)
    with np.load(io.BytesIO(content[".npz"])) as npz:
        assert npz["matrix"].tolist() == [[0, 0.25], [0.25, 0]]
    rest = a_document(kind="self", distance="cosine", items=["0.1", "3.4"])
    assert metas(content, tmp_path) == [rest, rest]


@pytest.mark.parametrize("suffix", list(STEPS))
def test_the_same_numbers_are_the_same_bytes(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    head = a_head(weights=np.eye(2), scores=np.eye(2))
    first = encoded(suffix, inspected(head), [head])
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    assert encoded(suffix, inspected(head), [head]) == first


def test_csv_is_one_long_table() -> None:
    head = a_head(mask=np.array([[True, False], [True, True]]), logits=[[0.1, -INFINITY], [-3, 1e-20]])
    assert encoded(".csv", a_document("Olá", ", "), [head]).decode() == "\n".join(  # noqa: FLY002
        [
            "kind,layer,head,step,row,column,row_token,column_token,value",
            "self,0,3,mask,0,0,Olá,Olá,1",
            'self,0,3,mask,0,1,Olá,", ",0',
            'self,0,3,mask,1,0,", ",Olá,1',
            'self,0,3,mask,1,1,", ",", ",1',
            "self,0,3,logits,0,0,Olá,Olá,0.1",
            'self,0,3,logits,0,1,Olá,", ",',
            'self,0,3,logits,1,0,", ",Olá,-3.0',
            'self,0,3,logits,1,1,", ",", ",1e-20',
            "",
        ]
    )


@given(MATRICES)
def test_every_float32_reads_back_from_csv_to_the_bit(matrix: npt.NDArray[np.float32]) -> None:
    rows = tuple(range(len(matrix)))
    head = Head(Kind.SELF, 0, 0, 0, 1.0, rows, rows, {Step.VALUES: matrix})
    content = data.as_csv(a_document(*"abcd"), [head])
    values = np.array([float(text) for text in column(content, "value")], np.float32)
    assert values.tobytes() == matrix.tobytes()


def test_the_columns_of_a_step_without_pairs_are_features() -> None:
    content = data.as_csv(a_document("a", "b"), [a_head(context=[[1, 2, 3], [4, 5, 6]])])
    assert column(content, "row_token") == ["a", "a", "a", "b", "b", "b"]
    assert column(content, "column") == ["0", "1", "2", "0", "1", "2"]
    assert set(column(content, "column_token")) == {""}


def test_rows_and_columns_are_positions_of_tokens() -> None:
    head = Head(Kind.SELF, 0, 0, 0, 1.0, (2,), (1, 0), {Step.WEIGHTS: np.ones((1, 2), np.float32)})
    content = data.as_csv(a_document("a", "b", "c"), [head])
    assert column(content, "row") == ["2", "2"]
    assert column(content, "column") == ["1", "0"]
    assert column(content, "row_token") == ["c", "c"]
    assert column(content, "column_token") == ["b", "a"]


@pytest.mark.parametrize(
    ("kind", "step", "rows", "columns"),
    [
        (Kind.CROSS, Step.WEIGHTS, "xy", "ab"),
        (Kind.CROSS, Step.QUERIES, "xy", None),
        (Kind.CROSS, Step.VALUES, "ab", None),
        (Kind.DECODER, Step.WEIGHTS, "xy", "xy"),
        (Kind.DECODER, Step.KEYS, "xy", None),
        (Kind.ENCODER, Step.WEIGHTS, "ab", "ab"),
    ],
)
def test_each_kind_reads_its_own_tokens(kind: Kind, step: Step, rows: str, columns: str | None) -> None:
    document = a_document("a", "b", target_tokens=tokens("x", "y"))
    steps: dict[str, Any] = {step: np.eye(2)}
    content = data.as_csv(document, [a_head(kind, **steps)])
    assert column(content, "row_token") == [token for token in rows for _ in "12"]
    assert column(content, "column_token") == (list(columns) * 2 if columns else [""] * 4)


@pytest.mark.parametrize("token", ["the", " the", "'s", "''", 'say "so"', "a,b", "1", "−1", "a=b"])
def test_a_token_that_is_no_formula_is_left_exactly_as_it_is(token: str) -> None:
    content = data.as_csv(a_document(token, token), [a_head(weights=np.eye(2))])
    assert set(column(content, "row_token")) == {token}


FORMULAS = (
    "=1+1",
    "+",
    "-2",
    "@SUM(A1)",
    "'=1",
    "''-",
    "\uff1dA1",
    "\uff0b1",
    "\uff0d1",
    "\uff20A",
    "=cmd|' /C calc'!A0",
)


@pytest.mark.parametrize("token", FORMULAS)
def test_a_token_is_no_formula_to_a_spreadsheet_and_reads_back_as_itself(token: str) -> None:
    content = data.as_csv(a_document(token, token), [a_head(weights=-np.eye(2))])
    for name in ("row_token", "column_token"):
        (cell,) = set(column(content, name))
        assert cell == f"'{token}"
        assert re.sub("^'(?='*[=+@\uff1d\uff0b\uff0d\uff20-])", "", cell) == token  # as docs/files.md says
    assert set(column(content, "value")) == {"-1.0", "-0.0"}


def test_a_tab_before_a_formula_is_spelled_out() -> None:
    content = data.as_csv(a_document("\t=1", "\r@"), [a_head(context=np.ones((2, 1)))])
    assert column(content, "row_token") == ["⇥=1", "␍@"]


def test_a_control_character_in_a_token_is_spelled_out() -> None:
    content = data.as_csv(a_document("\x1b[1m\0", "\r\n\udcff"), [a_head(context=np.ones((2, 1)))])
    assert column(content, "row_token") == [r"\x1b[1m\x00", r"␍⏎\udcff"]


def test_csv_of_a_comparison_is_a_square_table() -> None:
    content = encoded(".csv", compared(), ())
    assert content == b"item,self.0.1,self.3.4\nself.0.1,0.0,0.25\nself.3.4,0.25,0.0\n"


def test_no_two_heads_of_a_comparison_read_as_the_same_number() -> None:
    content = data.comparison_as_csv({"kind": "cross", "items": ["2.1", "2.10"], "matrix": np.eye(2)})
    names = column(content, "item")
    assert names == ["cross.2.1", "cross.2.10"]
    assert np.isnan(np.genfromtxt(names)).all()  # a bare 2.10 is the number 2.1


def test_the_names_of_a_comparison_are_harmless() -> None:
    content = data.comparison_as_csv({"kind": "self", "items": ["\x1b[1m"], "matrix": [[0.5]]})
    assert table(content) == [["item", r"self.\x1b[1m"], [r"self.\x1b[1m", "0.5"]]


def test_csv_of_a_comparison_is_finite() -> None:
    with pytest.raises(AttnError, match=r"^not a finite number in the matrix: nan$"):
        data.comparison_as_csv({"kind": "self", "items": ["0.1"], "matrix": np.array([[np.nan]])})


def test_csv_of_no_heads_is_a_header() -> None:
    assert table(data.as_csv(a_document(), ())) == [list(data.COLUMNS)]


def test_importing_and_writing_data_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from attn_cli.show import data\n"
        "assert not {'safetensors', 'torch', 'rich', 'matplotlib'} & set(sys.modules)\n"
        "data.as_safetensors({}, ())\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads(data.schema()))


def is_valid(document: Mapping[str, object]) -> bool:
    """Whether the output agrees with the printed schema."""
    written = json.loads(data.as_json(document))
    return bool(Draft202012Validator(json.loads(data.schema())).is_valid(written))


def test_documents_agree_with_the_schema() -> None:
    steps: dict[str, Any] = {step: np.eye(2) for step in Step}
    steps |= {"mask": np.eye(2, dtype=bool), "logits": [[1, -INFINITY], [0, 2]]}
    assert is_valid(inspected(a_head(**steps), a_head(Kind.CROSS)))
    assert is_valid(a_document())
    assert is_valid(a_document(target_tokens=tokens("x"), pair="b", device="cuda:1", library="torch"))
    assert is_valid(compared())
    assert is_valid(compared(difference=np.array([[-0.5]])))


@pytest.mark.parametrize(
    "more",
    [
        {"schema": 2},
        {"text": None},
        {"pair": 1},
        {"engine": "other"},
        {"library": "jax"},
        {"device": "cuda:x"},
        {"dtype": "int8"},
        {"surprise": 1},
        {"tokens": [{"id": 1}]},
        {"tokens": [tokens("a")[0] | {"surprise": 1}]},
        {"tokens": [tokens("a")[0] | {"id": -1}]},
        {"model": {"name": "tiny"}},
        {"items": ["0.1"]},
        {"difference": [[1]]},
        {"attention": [{"kind": "self"}]},
        compared(attention=[]),
        {"kind": "self", "distance": "euclid", "items": [], "matrix": []},
        {"kind": "self", "distance": "cosine", "items": [], "matrix": [[None]]},
        {"kind": "other", "distance": "cosine", "items": [], "matrix": []},
        {"distance": "cosine", "items": [], "matrix": []},
        {"kind": "self"},
    ],
)
def test_a_wrong_document_disagrees_with_the_schema(more: dict[str, object]) -> None:
    assert not is_valid(a_document() | more)


@pytest.mark.parametrize("word", [word for word in Step if word is not Step.LOGITS])
def test_only_logits_may_be_null(word: Step) -> None:
    document = inspected(a_head())
    document["attention"][0]["steps"] = {"logits": [[None, 1]]}
    assert is_valid(document)
    document["attention"][0]["steps"] = {word: [[None]]}
    assert not is_valid(document)


def test_the_schema_and_the_vocabulary_say_the_same_words() -> None:
    known = json.loads(data.schema())
    definitions = known["$defs"]
    assert list(definitions["steps"]["properties"]) == list(Step)
    assert definitions["head"]["properties"]["kind"]["enum"] == list(Kind)
    assert known["properties"]["distance"]["enum"] == list(Distance)
    assert known["properties"]["dtype"]["enum"] == list(DType)
