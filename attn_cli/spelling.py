"""Finds the known word closest to a mistyped one, by edit distance."""

from collections.abc import Iterable

_LONGEST = 64  # letters; longer words are not compared, as the edit distance takes quadratic time
_SHARE = 0.4  # the fraction of the longer word's letters that may be wrong in a close match
_SHORTEST = 3  # letters of a prefix that identifies the word
_CUT_SHORT, _RUN_ON = 0.1, 0.3  # the fraction that counts as wrong in `--col`, and in `--layers`
_FIRST = 0.2  # penalty for a wrong first letter


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was most probably meant; None if none is close.

    Case and leading dashes are ignored. A prefix of a word is close to it.
    """
    typed = _plain(word)
    if len(typed) == 1 or not typed:  # one letter is close to everything
        return None
    ranked = [(_effort(typed, _plain(other)), other) for other in known]
    effort, best = min(ranked, key=lambda pair: pair[0], default=(1.0, ""))
    return best if effort <= _SHARE else None


def edits(one: str, other: str) -> int:
    """The number of insertions, deletions, substitutions and swaps of adjacent letters.

    Optimal string alignment: Damerau 1964, doi:10.1145/363958.363994.
    """
    if max(len(one), len(other)) > _LONGEST:
        return max(len(one), len(other))
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one):
        row = [i + 1]
        for j, facing in enumerate(other):
            row.append(min(last[j + 1] + 1, row[j] + 1, last[j] + (letter != facing)))
            if i and j and letter == other[j - 1] and one[i - 1] == facing:
                row[-1] = min(row[-1], before[j - 1] + 1)
        before, last = last, row
    return last[-1]


def _effort(typed: str, known: str) -> float:
    """The fraction of the word that would have to change, 0 to 1; first letters are seldom wrong."""
    if len(typed) >= _SHORTEST and known.startswith(typed):
        return _CUT_SHORT
    if len(known) >= _SHORTEST and typed.startswith(known):
        return _RUN_ON
    return edits(typed, known) / max(len(typed), len(known)) + (_FIRST if typed[0] != known[:1] else 0)


def _plain(word: str) -> str:
    return word.lstrip("-").casefold()
