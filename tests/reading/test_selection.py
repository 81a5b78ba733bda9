"""What `3`, `-1`, `0,2,5`, `4-7`, `all` and `2.5` mean, and what means nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.errors import UsageError
from attn_cli.reading.selection import Selection, indices

COUNTS = st.integers(1, 40)


def resolve(layers: str | None = None, heads: str | None = None, *places: str) -> list[tuple[int, int]]:
    """Resolve a selection in a model of 3 layers and 2 heads."""
    return list(Selection(layers, heads, places).resolve("m", 3, 2))


@given(COUNTS, st.data())
def test_a_number_counts_from_the_start_or_from_the_end(count: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(-count, count - 1))
    assert indices(str(number), count, "layer", "m") == (number % count,)


@given(COUNTS, st.data())
def test_a_number_outside_does_not_exist(count: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(count) | st.integers(max_value=-count - 1))
    with pytest.raises(UsageError, match=rf"does not exist: m has {count}, numbered 0"):
        indices(str(number), count, "layer", "m")


@given(COUNTS, st.data())
def test_a_range_includes_both_ends(count: int, data: st.DataObject) -> None:
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, count - 1)] * 2)))
    assert indices(f"{first}-{last}", count, "head", "m") == tuple(range(first, last + 1))


@given(COUNTS, st.data())
def test_a_list_keeps_its_order_without_duplicates(count: int, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=8))
    found = indices(" , ".join(map(str, numbers)), count, "head", "m")
    assert found == tuple(dict.fromkeys(numbers))


@given(COUNTS)
def test_all_is_all(count: int) -> None:
    assert indices("all", count, "head", "m") == tuple(range(count))


@given(st.text(st.sampled_from("0123456789-,. all٣x\n"), max_size=12), COUNTS)
def test_any_other_text_is_refused_or_stays_in_range(text: str, count: int) -> None:
    try:
        found = indices(text, count, "head", "m")
    except UsageError:
        return
    assert found
    assert set(found) <= set(range(count))


def test_a_range_may_end_at_the_last() -> None:
    assert indices("1--1", 4, "layer", "m") == (1, 2, 3)


@given(COUNTS, st.data())
def test_an_open_range_extends_to_the_last(count: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(-count, count - 1))
    assert indices(f"{first}-", count, "layer", "m") == tuple(range(first % count, count))


def test_a_layer_alone_is_every_head_of_it() -> None:
    assert resolve("1") == [(1, 0), (1, 1)]


def test_a_head_alone_is_that_head_of_every_layer() -> None:
    assert resolve(None, "-1") == [(0, 1), (1, 1), (2, 1)]


def test_no_selection_is_every_head() -> None:
    assert Selection().is_empty
    assert len(resolve()) == 6


def test_layers_are_sorted_but_places_stay_as_they_were_named() -> None:
    assert resolve("2,0", "1") == [(0, 1), (2, 1)]
    assert resolve(None, None, "2.1,0.0", "-1.1") == [(2, 1), (0, 0)]


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("", "'' selects no layer", "--layer 3, -1, 0,2,5, 4-7, 4- or all"),
        ("x", "'x' selects no layer", "--layer 3, -1, 0,2,5, 4-7, 4- or all"),
        ("-", "'-' selects no layer", "--layer 3, -1, 0,2,5, 4-7, 4- or all"),
        ("1,,2", "'1,,2' selects no layer", "--layer 1,2"),
        ("1,2,", "'1,2,' selects no layer", "--layer 1,2"),
        ("0 2", "'0 2' selects no layer", "--layer 0,2"),
        ("[0; 2]", "'[0; 2]' selects no layer", "--layer 0,2"),
        ("0:2", "'0:2' selects no layer", "--layer 0-2"),
        ("1:", "'1:' selects no layer", "--layer 1-"),
        ("0..2", "'0..2' selects no layer", "--layer 0-2"),
        ("0\u20132", "'0\u20132' selects no layer", "--layer 0-2"),
        ("0 - 2", "'0 - 2' selects no layer", "--layer 0-2"),
        ("\u22121", "'\u22121' selects no layer", "--layer -1"),
        ("ALL", "'ALL' selects no layer", "--layer all"),
        ("*", "'*' selects no layer", "--layer all"),
        ("0.5", "'0.5' selects no layer", "--heads 0.5"),
        ("9-", "layer 9 does not exist: m has 3, numbered 0 to 2", "--layer 2"),
        ("2-1", "'2-1' selects no layer: it ends before it begins", "--layer 1-2"),
        ("99", "layer 99 does not exist: m has 3, numbered 0 to 2", "--layer 2"),
        ("-4", "layer -4 does not exist: m has 3, numbered 0 to 2", "--layer 2"),
        ("9" * 5000, "layer 9999999999 does not exist: m has 3, numbered 0 to 2", "--layer 2"),
    ],
)
def test_an_invalid_layer_says_what_to_type(text: str, problem: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(text)
    assert (caught.value.problem, caught.value.hint) == (problem, hint)


@pytest.mark.parametrize("text", ["", "1.2.3", "0.1,", "a.b", "0.1,3"])
def test_a_place_is_a_layer_and_a_head(text: str) -> None:
    with pytest.raises(UsageError, match=r"'.*' is not a layer and a head \(LAYER\.HEAD\)") as caught:
        resolve(None, None, text)
    assert caught.value.hint == "--heads 2.5"


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("1", "'1' is not a layer and a head (LAYER.HEAD)", "-H 1"),
        ("1,0", "'1' is not a layer and a head (LAYER.HEAD)", "-H 1,0"),
        ("2,1", "'2' is not a layer and a head (LAYER.HEAD)", "--heads 2.1"),
        ("3,1", "'3' is not a layer and a head (LAYER.HEAD)", "-H 3,1"),
        ("2,2", "'2' is not a layer and a head (LAYER.HEAD)", "-H 2,2"),
        ("1,2,1", "'1' is not a layer and a head (LAYER.HEAD)", "-H 1,2,1"),
        ("0-1", "'0-1' is not a layer and a head (LAYER.HEAD)", "-H 0-1"),
        ("all", "'all' is not a layer and a head (LAYER.HEAD)", "-H all"),
        ("0.1,2.0-1", "'2.0-1' is not a layer and a head (LAYER.HEAD)", "-l 2 -H 0-1"),
        ("all.1", "'all.1' is not a layer and a head (LAYER.HEAD)", "-l all -H 1"),
        ("3.0", "layer 3 does not exist: m has 3, numbered 0 to 2", "--heads 2.0"),
        ("-1.2", "head 2 does not exist: m has 2, numbered 0 to 1", "--heads 2.1"),
    ],
)
def test_heads_that_are_no_places_have_other_options(text: str, problem: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(None, None, text)
    assert (caught.value.problem, caught.value.hint) == (problem, hint)


@pytest.mark.parametrize(("layers", "heads"), [("1", None), (None, "1"), ("", None)])
def test_places_and_layers_do_not_go_together(layers: str | None, heads: str | None) -> None:
    with pytest.raises(
        UsageError, match=r"^--heads already selects layers and heads: leave out --layer and --head$"
    ):
        resolve(layers, heads, "0.1")


def test_the_only_layer_is_numbered_0() -> None:
    with pytest.raises(UsageError, match=r"^layer 1 does not exist: m has 1, numbered 0$"):
        indices("1", 1, "layer", "m")
