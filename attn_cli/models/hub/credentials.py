"""What identifies the user to the hub: a token, and a password that its address may contain.

Both are checked before they are used: an HTTP library that refuses a header or an address quotes it.
"""

from typing import Any
from urllib.parse import urlsplit

from attn_cli.errors import AttnError
from attn_cli.safe_text import without_credentials


def token_to_send(named: str) -> str:
    """The token of the user: `named`, the value of HF_TOKEN, or else the one that `hf auth login` saved.

    Empty if there is none. White space around it is left out, which a file or `echo` adds.

    Raises:
        AttnError: it cannot be a token, because it has a character that no header may have.
    """
    import huggingface_hub  # 0.2 s
    from huggingface_hub import constants

    named = named.strip()
    if not named and constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
        return ""
    token = named or (huggingface_hub.get_token() or "").strip()
    wrong = next((place for place, letter in enumerate(token) if not "!" <= letter <= "~"), None)
    if wrong is None:
        return token
    where = "HF_TOKEN" if named else f"the saved token in {constants.HF_TOKEN_PATH}"
    problem = f"{where} is not a token: its character {wrong + 1} is U+{ord(token[wrong]):04X}"
    raise AttnError(problem, "copy the token again, without quotation marks or a line break")


def check_endpoint(endpoint: str) -> None:
    """Raise `AttnError` if this is not the address of a server; credentials in it are not shown."""
    if not endpoint.isprintable() or not _has_host(endpoint):
        shown = without_credentials("".join(endpoint.split()))
        raise AttnError(
            f"HF_ENDPOINT is not the address of a hub: {shown!r}",
            "set it to an address such as https://huggingface.co, or unset it",
        )


def _has_host(endpoint: str) -> bool:
    try:
        parts: Any = urlsplit(endpoint)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an IPv6 address without its bracket
        return False
