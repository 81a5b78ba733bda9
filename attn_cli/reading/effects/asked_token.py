"""Which token of the vocabulary a prediction is asked about."""

from attn_cli.errors import UsageError
from attn_cli.models.source import Source
from attn_cli.safe_text import printable
from attn_cli.vocabulary import Kind


def find_token(source: Source, kind: Kind, typed: str, option: str) -> int:
    """The id of the token whose text is `typed`, with the space before it if it has one.

    Raises:
        UsageError: no token has this text, or it is several tokens.
    """
    shown = printable(typed)
    if not typed:
        raise UsageError(f"{option} needs the text of a token: it is empty", f'{option} " the"')
    found = sorted(index for index, text in source.vocabulary(kind).items() if text == typed)
    if found:
        split = source.plain_tokens(typed, kind)
        return split[0].id if len(split) == 1 and split[0].id in found else found[0]
    pieces = [token.text for token in source.plain_tokens(typed, kind)]
    if len(pieces) > 1:
        problem = f"{option} takes one token of {source.card.name}: '{shown}' is {len(pieces)}, "
        raise UsageError(problem + _listed(pieces), f'{option} "{printable(pieces[0])}"')
    raise UsageError(
        f"no token of {source.card.name} has the text '{shown}'",
        f'the text with the space before it, as in {option} " the"',
    )


def _listed(pieces: list[str]) -> str:
    quoted = [f"'{printable(piece)}'" for piece in pieces[:6]]
    return ", ".join(quoted) + (", ..." if len(pieces) > len(quoted) else "")
