"""Sentences in every language that attn explains in, each language beside the others."""

from collections.abc import Mapping

from attn_cli.record import record
from attn_cli.vocabulary import Language


@record(frozen=True, slots=True)
class Phrase:
    """One sentence or heading in each language; `{name}` stands for a value that is filled in."""

    en: str
    pt: str

    def of(self, language: Language) -> str:
        """The template in this language."""
        return self.pt if language is Language.PT else self.en

    def names(self, language: Language) -> list[str]:
        """The names of the values, in the order in which the template has them."""
        from string import Formatter  # 1 ms, for tests and tools alone

        return [name for _, name, _, _ in Formatter().parse(self.of(language)) if name]


def same(text: str) -> Phrase:
    """What reads alike in every language: symbols, names."""
    return Phrase(text, text)


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with its values; `{{` and `}}` are braces, as in `str.format`."""
    return template.format_map(values)
