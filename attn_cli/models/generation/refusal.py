"""The error for a model that does not go on with a text."""

from attn_cli.errors import AttnError


def no_continuation(name: str, reason: str) -> AttnError:
    """The error for such a model, with the reason."""
    return AttnError(
        f"{name} does not go on with a text: {reason}", "a decoder such as GPT-2, or leave out --generate"
    )
