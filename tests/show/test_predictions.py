"""The table of what a model expects, at every width."""

import io

import pytest
from rich.console import Console

from attn_cli.answers.prediction import PlacePredictions, Prediction
from attn_cli.show.terminal.predictions import PredictionTable


def prediction(text: str, probability: float, rank: int = 1, index: int = 7) -> Prediction:
    return Prediction(index, text, 1.5, probability, rank, is_actual=False)


def place(*likeliest: Prediction, actual: Prediction | None = None, position: int = 0) -> PlacePredictions:
    return PlacePredictions(position, position + 1, likeliest, actual)


def drawn(*places: PlacePredictions, width: int = 80, is_next: bool = True, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, color_system=None)
    console.print(PredictionTable(places, ["The", " cat"], is_next=is_next))
    file.seek(0)
    return file.read()


CAT = prediction(" cat", 0.5)


def test_a_table_has_a_line_for_each_place() -> None:
    following = prediction(" cat", 0.25, rank=1234)
    assert drawn(place(CAT, prediction(" dog", 0.125), actual=following), place(CAT, position=1)) == (
        "position  token  next   rank  prob.  likeliest next\n"
        "       0  The    cat   1,234  0.250  cat 0.500  dog 0.125\n"
        "       1  cat                        cat 0.500\n"
    )


def test_a_masked_model_has_no_column_for_the_next_token() -> None:
    assert drawn(place(CAT, actual=prediction("The", 0.25, rank=3)), is_next=False) == (
        "position  token  rank  prob.  likeliest in its place\n       0  The       3  0.250  cat 0.500\n"
    )


@pytest.mark.parametrize(("width", "is_table"), [(59, False), (60, True)])
def test_a_narrow_terminal_has_the_likeliest_below_each_place(width: int, *, is_table: bool) -> None:
    out = drawn(place(CAT, actual=prediction(" cat", 0.25, rank=3)), width=width)
    assert out.startswith("position") == is_table
    assert is_table or out == "0 The, next cat: rank 3, 0.250\n    cat 0.500\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1.000"), (0.0005, "0.001"), (0.00049, "5e-04"), (1e-30, "1e-30"), (0.0, "0.000")],
)
def test_a_small_probability_is_a_power_of_ten(value: float, shown: str) -> None:
    assert f"  cat {shown}\n" in drawn(place(prediction(" cat", value)))


def test_a_space_is_shown_only_where_it_tells_two_tokens_apart() -> None:
    out = drawn(place(CAT, prediction("cat", 0.25), prediction(" dog", 0.125)))
    assert "  ␣cat 0.500  cat 0.250  dog 0.125\n" in out


def test_tokens_without_a_text_and_blank_ones_have_a_name() -> None:
    out = drawn(place(prediction("", 0.5, index=50277), prediction("   ", 0.25), prediction("a  b", 0.125)))
    assert "  (id 50277) 0.500  ␣␣␣ 0.250  a␣␣b 0.125\n" in out


def test_a_terminal_of_ascii_has_ascii() -> None:
    drawn(place(CAT, prediction("cat", 0.25), prediction("日", 0.125)), encoding="ascii")


@pytest.mark.parametrize("text", ["[/bold]", "<script>", "a\x1b[31mb", "a\u202eb"])
@pytest.mark.parametrize("width", [30, 80])
def test_no_token_is_markup_or_a_control_sequence(text: str, width: int) -> None:
    hostile = prediction(text, 0.5)
    out = drawn(place(hostile, actual=hostile), width=width)
    assert all(character.isprintable() for line in out.splitlines() for character in line)
    assert text.isprintable() == (text in out)
