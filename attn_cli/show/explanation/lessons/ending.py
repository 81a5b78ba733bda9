"""How a lesson ends: numbers that readers can check themselves, and a command to go on with."""

from collections.abc import Sequence

from attn_cli.show.explanation.document import CommandLine, Heading, Words, words

Base = Sequence[str]
"""The arguments that name the text and the model: `("the cat sat", "-m", "gpt2")`, `("--", "-5 degrees")`."""


def to_check() -> Heading:
    """The heading of what readers can check."""
    return Heading(words("Check it with a calculator", "Confira com uma calculadora"))


def go_on(sentence: Words, base: Base, place: tuple[int, int], query: int, *more: str) -> CommandLine:
    """`attn explain` for the same row, or with `more` for another view of it."""
    layer, head = place
    return command(sentence, "explain", base, "-l", str(layer), "-H", str(head), "--query", str(query), *more)


def command(sentence: Words, name: str, base: Base, *options: str) -> CommandLine:
    """A command about the same text and model; its options stand before a `--`, after which all is text."""
    end = base.index("--") if "--" in base else len(base)
    return CommandLine(sentence, ("attn", name, *base[:end], *options, *base[end:]))
