"""Writes the page: one HTML file that needs no network, whose policy allows only its own script and style."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from attn_cli.answers.report import Report
from attn_cli.safe_text import label
from attn_cli.show.html_table import SHADES
from attn_cli.show.page.document import as_block, document_of
from attn_cli.show.page.payload import Payload
from attn_cli.show.page.script import whole_script
from attn_cli.show.page.table import telling_table

_TITLE = 60  # characters of the text

if TYPE_CHECKING:
    from jinja2 import Environment


def page_of(report: Report, bits: int, threads: int) -> bytes:
    """The page; the layers of the report run now, and `threads` compress their weights meanwhile.

    Raises:
        AttnError: the weights are damaged, or a number is not finite.
    """
    with Payload(bits, threads) as payload:
        origin = payload.meanwhile(report.origin)
        kinds = [payload.add(kind) for kind in report.kinds]
        document = document_of(report, origin.result(), kinds, bits, payload.error)
        early = kinds[0].of_telling_head
        blocks = payload.early_text(early), payload.text_without(early)
        return _html(document, telling_table(report, kinds[0]), " ".join(report.remarks), *blocks)


def _title(document: dict[str, Any]) -> str:
    """The model and how its text begins."""
    text = label(str(document["text"]))
    return f"{document['headline'][0]}: {text if len(text) <= _TITLE else f'{text[:_TITLE]}…'}"


def _precision(bits: int, error: float, exact: int, dtype: str) -> str:
    """How close the weights of the page are to those that the model computed."""
    how = "rounded to float32" if dtype == "float64" else "exact"
    heads = "" if not exact else f" Those of {exact} {'head' if exact == 1 else 'heads'} are {how}."
    return f"Every weight is kept with {bits} bits: none is off by more than {error:.2g}.{heads}"


def _kept_steps(document: dict[str, Any]) -> str:
    """Which heads have the arithmetic of their weights on the page, for readers at another head."""
    is_one_kind = len(document["kinds"]) == 1
    kept = [
        f"{one['layer']}.{one['head']}" if is_one_kind else f"{one['layer']}.{one['head']} ({one['kind']})"
        for one in document["exact"]
    ]
    heads = f"{'head' if len(kept) == 1 else 'heads'} {', '.join(kept)}" if kept else ""
    which = f"only for {heads}" if kept else "for no head"
    is_whole = all(size == 1 for kind in document["kinds"] for size in kind["cells"])
    more = "; --heads of attn report keeps those of others" if is_whole else ""
    return f"The page has the steps of a weight {which}{more}."


def _origin(revision: str | None, checksum: str | None, **_: object) -> str:
    """With which weights the page was made; empty if they are in no file."""
    commit = "" if revision is None else f"revision {revision}, "
    return "" if checksum is None else f"Weights: {commit}sha256 {checksum}."


def _style() -> str:
    """The style sheet, with the shades of the table for readers without scripts."""
    shades = (
        f".s{step} {{ background: rgb(31 119 180 / {step / SHADES:.0%}); }}" for step in range(SHADES + 1)
    )
    return "\n".join([_read("style.css"), *shades])


def _html(document: dict[str, Any], table: str, pooled: str, early: bytes, weights: bytes) -> bytes:
    from markupsafe import Markup  # comes with jinja2, for this command alone

    script, style = whole_script(), _style()
    page = _environment().from_string(_read("page.html"))
    text = page.render(
        document=document,
        title=_title(document),
        pooled=pooled,
        steps=_kept_steps(document),
        origin=_origin(**document["model"]),
        precision=_precision(document["bits"], document["error"], len(document["exact"]), document["dtype"]),
        script=Markup(script),  # noqa: S704  our own
        style=Markup(style),  # noqa: S704  our own
        policy=_policy(script, style),
        about=Markup(as_block(document)),  # noqa: S704  `as_block` escapes what HTML would read
        table=Markup(table),  # noqa: S704  `telling_table` escapes its tokens
        early=early.decode(),  # base64
        weights=_PLACE,
    )
    before, after = text.split(_PLACE)
    return before.encode() + weights + after.encode()


_PLACE = "\0weights\0"
"""Where the payload stands in the template: no text of a page has a control character."""


def _policy(script: str, style: str) -> str:
    """The content security policy: nothing but this script, this style, and pictures that the page makes."""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _environment() -> "Environment":
    from jinja2 import Environment, StrictUndefined  # 0.05 s, for this command alone

    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _read(name: str) -> str:
    return (files("attn_cli.show.page") / name).read_text("utf-8")
