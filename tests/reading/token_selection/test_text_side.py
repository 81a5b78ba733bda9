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
