"""The errors of words that do not stand in the text: each names what stands nearby."""

from collections.abc import Iterator
from itertools import islice

from attn_cli.errors import UsageError
from attn_cli.models.tokens.token import Token
from attn_cli.reading.selection import Numbered, is_foreign
from attn_cli.reading.token_selection.boundaries import enclosing_part, is_inside_part, is_word_character
from attn_cli.reading.token_selection.errors import shortened
from attn_cli.reading.token_selection.items import WORDS, Item, as_item
from attn_cli.reading.token_selection.places import find_places, is_in_text, occurrences
from attn_cli.reading.token_selection.text_side import TextSide
from attn_cli.spelling import nearest

_FEW = 3  # words named in an error
_TOKENS = "attn tokens lists the tokens"


def no_such_word(item: Item, side: TextSide, numbered: Numbered) -> UsageError:
    """The error for an item that is neither a position nor a word of the text."""
    if not item.is_text and is_foreign(item.typed):
        return numbered.nothing(item.typed)
    unknown = f"'{shortened(item.text)}' is not a word of {side.name}"
    if not item.is_text and item.text.casefold() in WORDS:
        return UsageError(unknown, f"{numbered.option} {item.text.casefold()}")
    words = item.text.split()
    if len(words) > 1 and not is_in_text(item.text, side):
        return _no_such_phrase(words, side, numbered)
    for explained in (_piece, _inside, _unread, _misspelt):
        answer = explained(item.text, side)
        if answer:
            found, *instead = answer
            hint = ", or ".join(f"{numbered.option} {each}" for each in instead)
            return UsageError(f"{unknown}: {found}", hint or _TOKENS)
    text = " ".join(" ".join(side.texts).split())
    problem = f"{unknown}: {shortened(text) or 'it is empty'}"
    return UsageError(problem, f"{numbered.option} 0, or a word of the text: {_TOKENS}")


def _no_such_phrase(words: list[str], side: TextSide, numbered: Numbered) -> UsageError:
    """The error for the first word of a phrase that is missing, or for words that stand apart."""
    for word in words:
        if not find_places(word, side):
            return no_such_word(Item(word, word, None, is_text=True), side, numbered)
    problem = f"'{shortened(' '.join(words))}' is not in {side.name}: its words stand apart"
    return UsageError(problem, f"{numbered.option} {','.join(map(as_item, words))}")


def _piece(typed: str, side: TextSide) -> list[str]:
    """What to say of a piece of the vocabulary, as `##jam` or `jam` of *pyjamas*, and what to type."""
    for text, token in _own_tokens(side):
        if typed in {token.piece, token.text.strip()}:
            start = token.end - len(text[token.start : token.end].lstrip())
            word = enclosing_part(text, start, token.end).strip()
            found = f"it is a piece of '{shortened(word)}', token {token.position}"
            return [found, str(token.position), as_item(word)]
    return []


def _own_tokens(side: TextSide) -> Iterator[tuple[str, Token]]:
    """The tokens that stand for text, each with the text that it belongs to."""
    return ((text, token) for text, tokens in side.parts for token in tokens if token.end > token.start)


def _inside(typed: str, side: TextSide) -> list[str]:
    """What to say of letters that stand only inside words, as *it* in *site*, and what to type."""
    around = dict.fromkeys(word for word in _words_around(typed, side) if word.casefold() != typed.casefold())
    words = list(islice(around, _FEW))
    named = ", ".join(f"'{shortened(word)}'" for word in words)
    return [f"it stands only inside {named}", as_item(words[0])] if words else []


def _words_around(typed: str, side: TextSide) -> Iterator[str]:
    """The words and the special tokens that contain the letters."""
    for text, _ in side.parts:
        for start, end in occurrences(typed, text):
            yield enclosing_part(text, start, end)
    special = (token.text for token in side.tokens if token.special)
    yield from (text for text in special if typed.casefold() in text.casefold())


def _unread(typed: str, side: TextSide) -> list[str]:
    """What to say of text without tokens, such as the end of the decoder's text."""
    return ["it stands there, but no token stands for it"] if is_in_text(typed, side) else []


def _misspelt(typed: str, side: TextSide) -> list[str]:
    """The nearest word of the text, and what to type."""
    near = nearest(typed, dict.fromkeys(_words(side)))
    return [] if near is None else [f"the nearest is '{shortened(near)}'", as_item(near)]


def _words(side: TextSide) -> Iterator[str]:
    """The words of the text without the signs around them, their parts, and the special tokens."""
    for text, _ in side.parts:
        for word in text.split():
            borders = [place for place in range(1, len(word)) if not is_inside_part(word, place)]
            parts = [word[start:end] for start, end in zip([0, *borders], [*borders, len(word)], strict=True)]
            lettered = [place for place, part in enumerate(parts) if is_word_character(part[0])]
            if lettered:
                yield "".join(parts[lettered[0] : lettered[-1] + 1])
            yield from parts
    yield from (token.text for token in side.tokens if token.special)
