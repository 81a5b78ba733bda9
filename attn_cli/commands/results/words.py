"""What `--words` does in a command, and what is said about words that are taken whole or shown as one."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attn_cli.commands.results.output import counted, spans
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.record import record
from attn_cli.safe_text import label
from attn_cli.vocabulary import Step

if TYPE_CHECKING:
    from attn_cli.reading.reading import Reading
    from attn_cli.reading.words.words import WordSide

_NAMED = 2  # words in a remark; if there are more, they are counted
_LONGEST = 24  # characters of a word in a remark
_MERGED = frozenset({Step.WEIGHTS, Step.MASK, Step.NORMS, Step.NORM_SHARES})


def word_steps(steps: tuple[Step, ...] | None) -> tuple[Step, ...]:
    """The steps to show; those of words are weights, by default, norms and the mask.

    Raises:
        UsageError: another step is requested with `--words`.
    """
    others = [step for step in steps or () if step not in _MERGED]
    if others:
        problem = f"--words merges the weights of a word's tokens, not their {others[0]}"
        raise UsageError(problem, "-s weights, or leave out --words")
    return steps or (Step.WEIGHTS,)


def as_words(world: World, reading: "Reading") -> "Reading":
    """The reading with words as queries and keys; a remark names those that share tokens.

    Raises:
        AttnError: the model does not tell where its tokens stand.
    """
    from attn_cli.reading.words.reading import in_words  # few commands merge tokens

    merged = in_words(reading)
    assert merged.words is not None, "they were formed"
    for side in dict.fromkeys((merged.words.keys, merged.words.queries)):
        if side.joined:
            world.note(f"words that share a token are shown as one: {_listed(side, side.joined)}")
    return merged


def words_of(reading: "Reading") -> str:
    """What rows and columns are if not tokens, for the title of a picture; else empty."""
    return "" if reading.words is None else "words"


@record(frozen=True, slots=True)
class SelectedTokens:
    """A selection as typed after an option."""

    option: str
    typed: str
    are_keys: bool = True


def remarks_on_selection(reading: "Reading", selected: SelectedTokens) -> Iterator[str]:
    """Words of which tokens cover more, and, if words are shown, those of which a part is selected."""
    from attn_cli.reading.token_selection.coverage import find_larger_places
    from attn_cli.reading.token_selection.select import select_tokens

    side = reading.key_side if selected.are_keys else reading.query_side
    tokens = set(select_tokens(selected.typed, side, "key" if selected.are_keys else "row", selected.option))
    found = find_larger_places(selected.typed, side)
    larger = [place for place in found if tokens.issuperset(token.position for token in place.tokens)]
    for place in larger[:_NAMED]:
        positions = [token.position for token in place.tokens]
        noun = "token" if len(positions) == 1 else "tokens"
        whole = f"{noun} {','.join(spans(positions))} {_short(place.text)}"
        yield f"{selected.option}: '{_short(place.word)}' is a part of {whole}, taken whole"
    if len(larger) > _NAMED:
        yield f"{selected.option}: and so in {counted(len(larger) - _NAMED, 'more place')}"
    if reading.words is not None:
        words = reading.words.keys if selected.are_keys else reading.words.queries
        cut = tuple(words.cut_by(tokens))
        if cut:
            yield f"{selected.option} selects a part of a word, taken whole: {_listed(words, cut)}"


def _listed(words: "WordSide", places: Sequence[int]) -> str:
    """A few words with their tokens, and how many more."""
    named = [
        f"{','.join(spans(words.members[place]))} {_short(words.words[place].text)}"
        for place in places[:_NAMED]
    ]
    rest = len(places) - len(named)
    return ", ".join(named) + (f" and {rest:,} more" if rest else "")


def _short(text: str) -> str:
    shown = label(text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
