"""Selections of tokens that are refused: each error names what stands nearby, and what to type."""

import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.errors import UsageError
from attn_cli.reading.token_selection.items import as_item, items
from attn_cli.reading.token_selection.select import select_token, select_tokens
from attn_cli.reading.token_selection.text_side import TextSide
from tests.support.sides import side_of, side_of_pieces

STREET = "The animal didn't cross the street: it was tired in 1930, at 10:30, for 1,000 or 3.14 minutes."


def told(selection: str, side: TextSide | str = STREET) -> tuple[str, str]:
    """The problem and the hint of the error."""
    with pytest.raises(UsageError) as refused:
        select_tokens(selection, side_of(side) if isinstance(side, str) else side, "row")
    return refused.value.problem, refused.value.hint


@pytest.mark.parametrize(
    ("selection", "problem", "hint"),
    [
        ("anmal", "'anmal' is not a word of the text: the nearest is 'animal'", "--rows animal"),
        ("it,stret@2", "'stret' is not a word of the text: the nearest is 'street'", "--rows street"),
        ("didnt", "'didnt' is not a word of the text: the nearest is 'didn't'", '''--rows "didn't"'''),
        ("ross", "'ross' is not a word of the text: it stands only inside 'cross'", "--rows cross"),
        ("re", "'re' is not a word of the text: it stands only inside 'street', 'tired'", "--rows street"),
        (
            "=14",
            "'14' is not a word of the text: it is a piece of '3.14', token 25",
            "--rows 25, or --rows 3.14",
        ),
        ("the cross", "'the cross' is not in the text: its words stand apart", "--rows the,cross"),
        ("the anmal", "'anmal' is not a word of the text: the nearest is 'animal'", "--rows animal"),
        (
            "zzz",
            "'zzz' is not a word of the text: The animal didn't cross the street: it …",
            "--rows 0, or a word of the text: attn tokens lists the tokens",
        ),
        ("First", "'First' is not a word of the text", "--rows first"),
        ("special@1", "'special' is not a word of the text", "--rows special"),
        ("it@2", "'it' has no place 2: it stands once in the text", "--rows it@1"),
        ("the@-3", "'the' has no place -3: it stands once in the text", "--rows the@1"),
        ("it@0", "'it' has no place 0: it stands once in the text", "--rows it@1"),
        ("special", "'special' selects no row: the text has no special tokens", "--rows first"),
        ("the,,it", "'the,,it' selects no row", "--rows the,it"),
        ("the street,", "'the street,' selects no row", '--rows "the street"'),
        (",", "',' selects no row", '--rows "=," for the comma'),
        (
            "=1,000",
            "'=1,000' is either the text 1,000, or the text 1 and token 000",
            """--rows '"1,000"', or --rows 000,=1""",
        ),
        (
            "1930",
            "row 1930 does not exist: the text has 28 tokens, numbered 0 to 27",
            '--rows "=1930" for the text 1930',
        ),
        ("10:31", "'10:31' selects no row", "--rows 10-31"),
    ],
)
def test_what_is_not_found_names_what_stands_nearby(selection: str, problem: str, hint: str) -> None:
    assert told(selection) == (problem, hint)


def test_the_parts_of_a_word_and_special_tokens_are_near_too() -> None:
    assert told("autmatic", "semi-automatic")[1] == "--rows automatic"
    assert told("[CSL]", side_of_pieces("a", begin=["[CLS]"]))[1] == '--rows "[CLS]"'


def test_three_words_around_the_letters_are_named() -> None:
    problem, _ = told("x", "xa xb xb xc xd")
    assert problem == "'x' is not a word of the text: it stands only inside 'xa', 'xb', 'xc'"


def test_places_are_counted_in_words() -> None:
    assert told("a@9", "a b a")[0] == "'a' has no place 9: it stands twice in the text"
    assert told("a@9", "a b a a")[0] == "'a' has no place 9: it stands 3 times in the text"
    assert told(f"a@{'9' * 5000}", "a b")[0] == "'a' has no place 9999999999: it stands once in the text"


def test_a_sign_for_places_that_is_written_in_the_text_is_put_in_quotes() -> None:
    assert told("mail@7", "mail@7 now")[1] == """--rows mail@1, or --rows '"mail@7"' for the text mail@7"""


def test_the_word_special_is_found_after_an_equals_sign() -> None:
    problem = "'special' selects no row: the text has no special tokens"
    assert told("special", "a special day") == (problem, '--rows "=special"')


def test_a_piece_of_the_vocabulary_is_found_at_its_position() -> None:
    pieces = side_of_pieces("my ", "py", "jam", "as")
    marked = replace(pieces.tokens[2], piece="##jam")
    side = TextSide([*pieces.tokens[:2], marked, pieces.tokens[3]], pieces.texts)
    found = ": it is a piece of 'pyjamas', token 2"
    for typed in ("jam", "##jam"):
        assert told(typed, side) == (
            f"'{typed}' is not a word of the text{found}",
            "--rows 2, or --rows pyjamas",
        )


def test_the_inside_of_a_special_token_is_no_word() -> None:
    side = side_of_pieces("a", begin=["[CLS]"])
    assert told("CLS", side) == (
        "'CLS' is not a word of the text: it stands only inside '[CLS]'",
        '--rows "[CLS]"',
    )


def test_text_that_no_token_was_read_for_says_so() -> None:
    side = side_of("le chat dormait", "the decoder's text")
    cut = TextSide(side.tokens[:-1], side.texts, side.name)
    problem = "'dormait' is not a word of the decoder's text: it stands there, but no token stands for it"
    assert told("dormait", cut) == (problem, "attn tokens lists the tokens")


def test_a_text_without_words_has_none_near() -> None:
    side = side_of_pieces(begin=["<s>"])
    problem = "'it' is not a word of the text: it is empty"
    assert told("it", side) == (problem, "--rows 0, or a word of the text: attn tokens lists the tokens")


@pytest.mark.parametrize(
    ("selection", "found", "hint"),
    [
        ("it", "'it' selects 3: 0 'it', 3 'it', 4 'it'", "--query 0, or --query it@1"),
        ("py jam", "'py jam' selects 2: 1 'py', 2 'jam'", "--query 1"),
        ("it@2,1", "'it@2,1' selects 2: 1 'py', 3 'it'", "--query 1"),
        ("0-3", "'0-3' selects 4: 0 'it', 1 'py', 2 'jam' and 1 more", "--query 0"),
        ("all", "'all' selects 5: 0 'it', 1 'py', 2 'jam' and 2 more", "--query 0"),
    ],
)
def test_several_tokens_where_one_is_needed_are_named(selection: str, found: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        select_token(selection, side_of("it py jam it it"), "query")
    assert (refused.value.problem, refused.value.hint) == (f"--query takes one token, and {found}", hint)


def test_a_place_of_several_tokens_is_no_answer_where_one_is_needed() -> None:
    with pytest.raises(UsageError) as refused:
        select_token("py jam", side_of("py jam py jam"), "key")
    assert refused.value.hint == "--key 0"


def test_long_words_are_cut_in_an_error() -> None:
    problem, _ = told("x" * 100)
    assert problem.startswith(f"'{'x' * 39}…' is not a word of the text: ")


LETTERS = r"""ab1,@="'\ -$`._😀日"""


@given(st.text(st.sampled_from(LETTERS), min_size=1, max_size=6).filter(str.strip))
def test_a_word_in_a_hint_can_be_typed(word: str) -> None:
    (typed,) = shlex.split(as_item(word))
    (item,) = items(typed)
    assert item.text.split() == word.split()
    assert item.place is None
