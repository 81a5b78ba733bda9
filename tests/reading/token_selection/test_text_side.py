"""Which of two texts a token belongs to, in models that are told and in models that are not."""

from dataclasses import replace

import pytest

from attn_cli.reading.token_selection.text_side import TextSide
from tests.support.sides import side_of_pieces


def pair(*sides: TextSide, is_told: bool = False) -> TextSide:
    """The tokens of two texts, one after the other."""
    told = [
        replace(token, segment=number if is_told else 0)
        for number, side in enumerate(sides)
        for token in side.tokens
    ]
    tokens = [replace(token, position=place) for place, token in enumerate(told)]
    return TextSide(tokens, [side.texts[0] for side in sides])


def seconds(side: TextSide) -> list[str]:
    """The tokens of the second text that have text."""
    _, (_, tokens) = side.parts
    return [token.text for token in tokens if token.end > token.start]


@pytest.mark.parametrize("is_told", [False, True])
@pytest.mark.parametrize("end", [(), ("</s>",), ("</s>", "</s>")])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["the", " cat"], ["it", " sat"]),
        (["the"], ["it"]),
        (["the", " "], ["   ", "it"]),
        (["the", " cat", "\n"], ["it"]),
    ],
)
def test_each_text_has_its_own_tokens(
    first: list[str], second: list[str], end: tuple[str, ...], is_told: bool
) -> None:
    one = side_of_pieces(*first, begin=end[:1], end=end)
    side = pair(one, side_of_pieces(*second, end=end), is_told=is_told)
    assert seconds(side) == second


def test_an_empty_first_text_has_no_tokens() -> None:
    assert seconds(pair(side_of_pieces(), side_of_pieces("it", " sat"))) == ["it", " sat"]


def test_a_second_text_may_begin_with_spaces_that_are_no_tokens() -> None:
    side = pair(side_of_pieces("it", " ", end=["</s>"]), side_of_pieces("     ", "it"))
    kept = [token for token in side.tokens if token.text != "     "]
    assert seconds(TextSide(kept, side.texts)) == ["it"]


def test_spaces_after_the_first_text_may_be_no_tokens() -> None:
    side = pair(side_of_pieces("a", " "), side_of_pieces("ab", "c"))
    kept = [token for token in side.tokens if token.text.strip()]
    assert seconds(TextSide(kept, side.texts)) == ["ab", "c"]


def test_bytes_of_one_letter_belong_to_the_text_that_the_model_is_told() -> None:
    letter = side_of_pieces("\u65e5")
    split = TextSide([letter.tokens[0]] * 3, letter.texts)
    _, (_, tokens) = pair(split, split, is_told=True).parts
    assert [token.position for token in tokens] == [3, 4, 5]
