"""The token and the password of a hub's address: sent where they belong, shown nowhere."""

import ssl

import huggingface_hub
import pytest
from huggingface_hub import constants

from attn_cli.errors import AttnError
from attn_cli.models.hub import download as downloads
from attn_cli.safe_text import without_credentials
from tests.support.hub_place import Place
from tests.support.local_hub import Hub
from tests.support.worlds import attn

pytestmark = pytest.mark.usefixtures("online")

SECRET = "hf_" + "x" * 34
AGAIN = "copy the token again, without quotation marks or a line break"


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "{}\r", " {} ", "\t{}", "{}\u2028"])
def test_white_space_around_the_token_is_not_sent(around: str, place: Place, hub: Hub) -> None:
    place.environment["HF_TOKEN"] = around.format(SECRET)
    place.locate()
    assert hub.tokens == {f"Bearer {SECRET}"}


@pytest.mark.parametrize(
    ("token", "place_of", "code"),
    [
        ("hf_\nsecret", 4, "000A"),
        ("hf_secret\r\nX-Other: 1", 10, "000D"),
        (f"Bearer {SECRET}", 7, "0020"),
        ("hf_sécret", 5, "00E9"),
        ("\ufeffhf_secret", 1, "FEFF"),
        ("hf_\x00secret", 4, "0000"),
        ("hf_\udcffsecret", 4, "DCFF"),
    ],
)
def test_a_token_that_no_header_takes_is_refused_unseen(
    token: str, place_of: int, code: str, place: Place, hub: Hub
) -> None:
    place.environment["HF_TOKEN"] = token
    problem = f"HF_TOKEN is not a token: its character {place_of} is U+{code}"
    assert place.refused() == (problem, AGAIN)
    assert hub.asked == []


@pytest.mark.parametrize("empty", ["", "\n", " \t"])
def test_an_empty_token_is_none(empty: str, place: Place, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    place.environment["HF_TOKEN"] = empty
    place.locate()
    assert hub.tokens == {None}


def test_a_saved_token_is_checked_too(place: Place, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_a\nhf_b")
    problem = f"the saved token in {constants.HF_TOKEN_PATH} is not a token: its character 5 is U+000A"
    assert place.refused() == (problem, AGAIN)
    assert hub.asked == []


def test_a_saved_token_stays_at_home_if_the_user_wants_so(
    place: Place, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: SECRET)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    place.locate()
    assert hub.tokens == {None}


@pytest.mark.parametrize("user", ["user:pass", "user:pa@ss", "pass", "us er:pass"])
def test_a_password_in_the_address_of_the_hub_is_not_shown(user: str, place: Place, hub: Hub) -> None:
    place.environment["HF_ENDPOINT"] = hub.endpoint.replace("//", f"//{user}@")
    del hub.files["model.safetensors"], hub.files["pytorch_model.bin"]
    problem = "org/small has no weights attn can read: neither model.safetensors nor pytorch_model.bin"
    assert place.refused() == (problem, f"see {hub.endpoint}/org/small")
    hub.commit = "../x"
    url = f"{hub.endpoint}/org/small/resolve/main/config.json"
    assert place.refused() == (f"{hub.endpoint} is not a Hugging Face hub: {url}", "check HF_ENDPOINT")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("user:pass@hub.example", "'hub.example'"),
        ("http://user:pass@[::1", "'http://[::1'"),
        ("http://user:pass@hub:port", "'http://hub:port'"),
        ("ftp://user:pass@hub", "'ftp://hub'"),
        ("http://user:pass@", "'http://'"),
        ("http://user:pa\nss@hub", r"'http://hub'"),
    ],
)
def test_a_malformed_address_is_refused_without_its_password(address: str, shown: str, place: Place) -> None:
    place.environment["HF_ENDPOINT"] = address
    problem, hint = place.refused()
    assert (problem, hint) == (
        f"HF_ENDPOINT is not the address of a hub: {shown}",
        "set it to an address such as https://huggingface.co, or unset it",
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError(f"Illegal header value b'Bearer {SECRET}\\n'"), "key error"),
        (RuntimeError(f"no route to http://user:{SECRET}@proxy"), "key error"),
        (ssl.SSLError(1, "certificate verify failed"), "[Errno 1] certificate verify failed"),
    ],
)
def test_a_library_is_not_quoted(
    error: Exception, reason: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise KeyError(SECRET) from error

    monkeypatch.setattr(vars(downloads)["_Hub"], "_remote", fails)
    problem, _ = place.refused("org/other")
    assert problem.startswith(f"model 'org/other' not found, and the hub cannot be reached ({reason}): ")


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("Illegal header value b'Bearer hf_x\\n'", "Illegal header value b'Bearer ...'"),
        ("GET https://me:hf_x@hub/a failed", "GET https://hub/a failed"),
        ("authorization: Basic aGY6eA==", "authorization: Basic ..."),
        ("proxy http://hf_x@[::1]:80", "proxy http://[::1]:80"),
        ("me:hf_x@hub:80", "hub:80"),
        ("an address: me@hub.example", "an address: me@hub.example"),
    ],
)
def test_credentials_are_left_out_of_a_message(message: str, left: str) -> None:
    assert without_credentials(message) == left


def test_a_traceback_has_no_credentials_either(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise AttnError("it failed", "nothing") from ValueError(
            f"b'Bearer {SECRET}' for http://a:{SECRET}@hub"
        )

    monkeypatch.setattr("attn_cli.cli._called", fails)
    shown = attn("inspect", "x", ATTN_DEBUG="1").err
    assert "Traceback" in shown
    assert "for http://hub" in shown
    assert SECRET not in shown
