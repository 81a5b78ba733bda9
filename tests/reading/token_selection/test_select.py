"""Tokens by kind and by words of the text: every token of every place, and what is no place."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.errors import UsageError
from attn_cli.reading.token_selection.select import select_token, select_tokens
from attn_cli.reading.token_selection.text_side import TextSide
from tests.support.sides import side_of, side_of_pieces

STREET = "The animal didn't cross the street because it was tired, was it?"


def chosen(selection: str, side: TextSide | str) -> list[str]:
    """The texts of the selected tokens."""
    side = side_of(side) if isinstance(side, str) else side
    return [side.tokens[position].text for position in select_tokens(selection, side, "row")]


def positions(selection: str, side: TextSide | str) -> tuple[int, ...]:
    return select_tokens(selection, side_of(side) if isinstance(side, str) else side, "row")


def test_a_word_is_every_place_where_it_stands() -> None:
    assert positions("it", STREET) == (7, 12)
    assert positions("street because", STREET) == (5, 6)


def test_a_number_after_at_is_one_place_counted_from_1_or_from_the_end() -> None:
    assert positions("it@1", STREET) == (7,)
    assert positions("it@2", STREET) == (12,)
    assert positions("it@-1", STREET) == (12,)
    assert positions("it@-2", STREET) == (7,)


def test_a_word_of_several_tokens_is_all_of_them() -> None:
    side = side_of_pieces("my", " py", "jam", "as", " are", " jam")
    assert chosen("pyjamas", side) == [" py", "jam", "as"]
    assert chosen("jam", side) == [" jam"]
    assert chosen("my pyjamas", side) == ["my", " py", "jam", "as"]


def test_items_are_mixed_and_sorted_and_each_token_comes_once() -> None:
    side = side_of_pieces("so", " it", " is", " it", begin=["[CLS]"], end=["[SEP]"])
    assert positions("it@2, special,1-2,it@1", side) == (0, 1, 2, 4, 5)


def test_special_is_every_special_token_and_first_the_first_token() -> None:
    side = side_of_pieces("it", begin=["[CLS]"], end=["[SEP]", "[PAD]"])
    assert positions("special", side) == (0, 2, 3)
    assert positions("first", side) == positions("first", "it is") == (0,)


def test_an_equals_sign_or_quotes_make_any_item_text() -> None:
    side = side_of("all 7 first 4-7, special, = x@2")
    assert positions("=7@1,=all,=first,=special", side) == (0, 1, 2, 7)
    assert positions("=7@2", side) == positions('"7"@2', side) == positions('="7"@2', side) == (5,)
    assert positions("=,", side) == positions('","', side) == (6, 8)
    assert positions("=,@2,=all", side) == (0, 8)
    assert positions("=", side) == positions("==", side) == (9,)
    assert positions("=4-7", side) == positions('"4-7"', side) == (3, 4, 5)
    assert positions('"x@2"', side) == (10, 11, 12)


def test_a_comma_in_quotes_does_not_end_an_item() -> None:
    assert chosen('"Paris, France",=,@2', "In Paris, France, and Paris") == ["Paris", ",", "France", ","]


def test_a_quotation_mark_that_is_not_closed_is_text() -> None:
    assert chosen('"', 'say "yes"') == ['"', '"']
    assert chosen('"say ""yes"', 'say "yes" yes') == ["say", '"', "yes"]


def test_a_special_token_is_selected_by_its_text() -> None:
    side = side_of_pieces("a", " b", begin=["[CLS]"], end=["[SEP]", "[SEP]"])
    assert positions("[CLS]", side) == positions("=[CLS]", side) == positions("[cls]", side) == (0,)
    assert positions("[SEP]", side) == (3, 4)
    assert positions("[SEP]@2", side) == (4,)


@pytest.mark.parametrize(
    ("word", "text", "starts"),
    [
        ("it", "a site with grit, it", [18]),
        ("it", "it's", [0]),
        ("it", "_it_ (it) it-it 'it'", [1, 6, 10, 13, 17]),
        ("init", "__init__ snake_init init_x", [2]),
        ("init", "a __init__", [4]),
        ("3", "3.14 3 1,3 3, 3.", [5, 11, 14]),
        ("1", "1,3 1", [4]),
        (".", "3.14 ends. Here v.5", [9, 17]),
        (",", "1,000, 2", [5]),
        ("1,000", "1,000, 11,000", [0]),
        ("ab", "ab2 2ab ab", [8]),
        ("ha ha", "ha ha ha", [0, 3]),
        ("\n", "a\nb", [1]),
        ("नम", "नमस्ते नम", [7]),
        ("می", "می\u200cروم می", [7]),
        ("e", "e\u0301 e", [3]),
        ("日", "日本の日", [0, 3]),
        ("ไทย", "ภาษาไทย", [4]),
        ("AI", "AI技術 SAI", [0]),
        ("학교", "학교에 학교", [4]),
        ("👍", "👍🏽 👍", [3]),
        ("👩", "👩\u200d👧 👩", [4]),
        ("👧", "👩\u200d👧 👧", [4]),
        ("🇪🇸", "🇩🇪🇸🇪 🇪🇸", [5]),
        ("🏴", "🏴\U000e0067\U000e007f 🏴", [4]),
        ("က", "ကာ က", [3]),
    ],
)
def test_a_word_inside_a_longer_one_is_no_place(word: str, text: str, starts: list[int]) -> None:
    side = side_of_pieces(*text)  # a token for each character
    spans = [range(start, start + len(word)) for start in starts]
    assert positions(f'"{word}"', side) == tuple(sorted({place for span in spans for place in span}))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "漢字漢字",
            "ひらがな",
            "カタカナ",
            "ｶﾀｶﾅ",
            "ㄅㄆㄇㄈ",
            "々々々々",
            "ภาษาไ",
            "ພາສາລ",
            "ភភភភ",
            "မမမမ",
        ),
        *("ᨠᨠᨠᨠ", "ꦲꦲꦲꦲ", "ᬳᬳᬳᬳ"),
    ],
)
def test_every_occurrence_counts_in_scripts_without_spaces(text: str) -> None:
    assert positions(f"{text[2]}@1", side_of_pieces(*text))[0] == text.index(text[2])


def test_any_white_space_between_the_words_of_a_phrase_fits() -> None:
    side = side_of_pieces("the", "\n", " ", "cat", " the cat")
    assert positions("the cat", side) == positions('"the  cat"', side) == (0, 1, 2, 3, 4)


def test_composed_and_decomposed_accents_are_the_same() -> None:
    side = side_of_pieces(*"e\u0301 \u00e9 e")
    assert positions("\u00e9", side) == positions("e\u0301", side) == (0, 1, 3)


def test_curly_quotes_and_signs_may_be_typed_as_on_a_keyboard() -> None:
    assert chosen("it's", side_of_pieces("it", "\u2019", "s")) == ["it", "\u2019", "s"]
    assert positions("...", side_of_pieces("well", "\u2026")) == (1,)
    assert positions("...@1", side_of_pieces("\u2026", "...")) == (1,)
    assert positions("ab", side_of_pieces("a\u00ad", "b")) == (0, 1)
    with pytest.raises(UsageError, match="it stands once"):
        positions("...@2", side_of_pieces("\u2026"))


def test_the_written_case_is_preferred() -> None:
    assert positions("it", "It saw it, IT") == (2,)
    assert positions("It", "It saw it, IT") == (0,)
    assert positions("iT", "It saw it, IT") == (0, 2, 4)
    assert positions("STRASSE", "die Straße") == (1,)


def test_a_word_is_also_what_the_tokens_read_in_a_model_without_capitals() -> None:
    written = side_of_pieces("It", " saw", " it", " Café")
    read = {0: "it", 3: "cafe"}
    names = [read.get(token.position, token.text) for token in written.tokens]
    tokens = [
        replace(token, piece=name, text=name) for token, name in zip(written.tokens, names, strict=True)
    ]
    side = TextSide(tokens, written.texts)
    assert positions("it", side) == (0, 2)
    assert positions("it@2", side) == (2,)
    assert positions("It", side) == (0,)
    assert positions("cafe", side) == positions("café", side) == (3,)


def test_the_emoji_form_of_a_sign_is_part_of_it() -> None:
    assert positions("\u2764", side_of_pieces("\u2764", "\ufe0f", " ")) == (0, 1)


def test_a_space_before_a_word_is_not_part_of_it() -> None:
    tokens = [*side_of_pieces("7").tokens]
    space = replace(
        tokens[0], piece="\u2581", text=" "
    )  # SentencePiece's, with the offsets of the first letter
    side = TextSide([space, replace(tokens[0], position=1)], ["7"])
    assert positions("=7", side) == (1,)
    assert positions("a b", side_of_pieces("a", " ", "b")) == (0, 1, 2)


def test_a_special_token_in_the_text_is_selected_as_a_whole() -> None:
    side = side_of_pieces("a ", "<s>", " s")
    tokens = [replace(token, special=token.text == "<s>") for token in side.tokens]
    assert positions("s", TextSide(tokens, side.texts)) == (2,)
    assert positions("<s>", TextSide(tokens, side.texts)) == (1,)
    with pytest.raises(UsageError, match="it stands once"):
        positions("<s>@2", TextSide(tokens, side.texts))


def test_a_special_token_stands_before_the_same_one_in_the_text() -> None:
    side = side_of_pieces("a ", "<s>", begin=["<s>"], end=["<s>"])
    tokens = [replace(token, special=token.text == "<s>") for token in side.tokens]
    assert positions("<s>@1,<s>@3", TextSide(tokens, side.texts)) == (0, 3)
    assert positions("<s>@2", TextSide(tokens, side.texts)) == (2,)


def test_tokens_that_overlap_are_those_that_share_letters_with_the_word() -> None:
    tokens = [*side_of_pieces("a b", " c").tokens]
    nested = [tokens[0], replace(tokens[0], end=1), replace(tokens[0], start=2), tokens[1]]
    side = TextSide([replace(token, position=place) for place, token in enumerate(nested)], ["a b c"])
    assert positions("a", side) == (0, 1)
    assert positions("b", side) == (0, 2)
    assert positions("c", side) == (3,)


def test_an_unknown_word_has_the_token_that_was_read_for_it() -> None:
    side = side_of_pieces("a ", "日本")
    tokens = [*side.tokens[:1], replace(side.tokens[1], text="[UNK]", piece="[UNK]", special=True)]
    side = TextSide(tokens, side.texts)
    assert positions("本", side) == positions("日本", side) == positions("[UNK]", side) == (1,)
    assert positions("special", side) == (1,)


@given(st.lists(st.sampled_from(["it", "site", " ", "_", "7", "a b", "日", "."]), min_size=1), st.data())
def test_every_selected_token_lies_in_a_place_of_the_word(pieces: list[str], data: st.DataObject) -> None:
    side = side_of_pieces(*pieces)
    (text,) = side.texts
    word = data.draw(st.sampled_from(["it", "7", "日", "."]))
    found = {place for place in range(len(text)) if text.startswith(word, place)}
    try:
        selected = positions(f"={word}", side)
    except UsageError:
        return
    for token in (side.tokens[position] for position in selected):
        assert any(start < token.end and token.start < start + len(word) for start in found)


def test_one_token_is_one_token() -> None:
    side = side_of("it is it")
    assert select_token("it@2", side, "query") == 2
    assert select_token("is", side, "query") == select_token("1", side, "query") == 1
    assert select_token("-1", side, "query") == 2
