"""Which tokens form a word, found anew: words by the package `regex`, tokens that share one by hand.

The texts have no colon and no underscore at the edge of a word: there, words differ from Unicode's.
"""

from collections.abc import Sequence

import regex

from attn_cli.models.tokens.token import Token
from attn_cli.reading.token_selection.text_side import TextSide

SCRIPTS = (
    "Don't say it's naïve, the Café (état) costs 3.14 or 1,000.5 e.g. now...",
    "Привет, мир! Это не-что «ёлка» из т.ч. слов.",
    'مرحبا بالعالم، كيف الحال؟ שלום עולם, צה"ל!',
    "漢字かなカタカナ、我喜欢猫。ラーメン 2023年",
    "हिन्दी में ไทยเป็น 한국어는",
    "😀👩‍🚀 🇩🇪🇫🇷 👍🏽 👍",
    "the the  cat\n\nsat on the cat.",
)


def words_by_hand(side: TextSide) -> list[list[int]]:
    """The positions of the tokens of each word, in the order of the first of them."""
    return sorted(word for text, tokens in side.parts for word in _of_text(text, tokens))


def _of_text(text: str, tokens: Sequence[Token]) -> list[list[int]]:
    spans = [match.span() for match in regex.finditer(r"\S+?\b|\s", text, flags=regex.WORD | regex.V1)]
    groups: list[tuple[set[int], set[tuple[int, int]]]] = []
    for token in tokens:
        is_literal = token.special and text[token.start : token.end].strip() in {token.text, token.piece}
        if token.end == token.start or is_literal:
            groups.append(({token.position}, set()))
            continue
        start, end = token.start, token.end
        if text[start:end] == " " and any(other.start == end < other.end for other in tokens):
            after = text[end]
            start, end = (start, end) if after.isspace() else (end, end + 1)
        written = [place for place in range(start, end) if not text[place].isspace()] or list(
            range(start, end)
        )
        own = {span for span in spans if any(span[0] <= place < span[1] for place in written)}
        sharing = [group for group in groups if group[1] & own]
        groups = [group for group in groups if group not in sharing]
        groups.append(
            (
                {token.position}.union(*(group[0] for group in sharing)),
                own.union(*(group[1] for group in sharing)),
            )
        )
    return [sorted(positions) for positions, _ in groups]
