"""How a lesson ends: numbers that readers can check themselves, and a command to go on with."""

from collections.abc import Sequence

from attn_cli.show.explanation.document import CommandLine, Heading, Words, words
from attn_cli.show.explanation.phrases import Phrase

Base = Sequence[str]
"""The arguments that name the text and the model: `("the cat sat", "-m", "gpt2")`, `("--", "-5 degrees")`."""

STDIN = "-"
"""The text of `Base` if it was read from standard input."""

_LANGUAGE = "--lang"


def to_check() -> Heading:
    """The heading of what readers can check."""
    return Heading(words("Check it with a calculator", "Confira com uma calculadora"))


def go_on(sentence: Words, base: Base, place: tuple[int, int], query: int, *more: str) -> CommandLine:
    """`attn explain` for the same row, or with `more` for another view of it."""
    layer, head = place
    return command(sentence, "explain", base, "-l", str(layer), "-H", str(head), "--query", str(query), *more)


def command(sentence: Words, name: str, base: Base, *options: str) -> CommandLine:
    """A command about the same text and model; its options stand before a `--`, after which all is text."""
    if name != "explain":
        base = _without_language(base)
    end = base.index("--") if "--" in base else len(base)
    if base and base[0] == STDIN:
        sentence = _with_the_same_input(sentence)
    return CommandLine(sentence, ("attn", name, *base[:end], *options, *base[end:]))


def _with_the_same_input(sentence: Words) -> Words:
    """The sentence before a command that reads standard input, which cannot be printed as a part of it."""
    en, pt = (template.removesuffix(":") for template in (sentence.phrase.en, sentence.phrase.pt))
    said = Phrase(
        f"{en} (with the same text on standard input):", f"{pt} (com o mesmo texto na entrada padrão):"
    )
    return Words(said, sentence.values)


def _without_language(base: Base) -> Base:
    """The arguments for a command that has no `--lang`; what follows a `--` is text."""
    end = base.index("--") if "--" in base else len(base)
    if _LANGUAGE not in base[:end]:
        return base
    at = base.index(_LANGUAGE)
    return [*base[:at], *base[at + 2 :]]
