"""Names that recur on pages: tokens in a sentence and in a table, keys that are not listed, rounding."""

from collections.abc import Sequence

from attn_cli.show.explanation.document import Outside, Words, symbols, words

ROUNDING = words("rounding", "arredondamento")


def token_name(tokens: Sequence[str], position: int) -> Words:
    """A token with its position, in a sentence."""
    token = Outside(tokens[position])
    return words('"{token}" ({position})', "“{token}” ({position})", token=token, position=str(position))


def token_label(tokens: Sequence[str], position: int) -> Words:
    """A token with its position, in a table."""
    return symbols("{position} {token}", token=Outside(tokens[position]), position=str(position))


def rest_label(count: int) -> Words:
    """The line of the keys that are not listed."""
    if count == 1:
        return words("1 other key", "1 outra chave")
    return words("{count} other keys", "outras {count} chaves", count=count)
