"""`attn verify`: our numbers against Hugging Face's eager attention, layer by layer."""

from typing import TYPE_CHECKING

import typer

from attn_cli.commands import options as given
from attn_cli.commands.answering import headline
from attn_cli.commands.asking import Options, reading_of
from attn_cli.commands.judging import check, sentence
from attn_cli.console import World
from attn_cli.vocabulary import DType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attn_cli.analysis.verification import Verdict

TEXTS = (
    "The animal didn't cross the street because it was too tired.",
    "The cat sat on the mat, and the mat lay where the cat had sat.",
    "In 1969, 2 of 3 men walked on the Moon; the third (M. Collins) stayed in orbit.",
    "Ein naïves Café, 日本, Ελλάδα 🙂 and back again.",
    "yes",
)
"""What is read where no text is given: long and short, with repeats, numbers and other scripts."""

_COLUMNS = ("kind", "layer", "weights", "output")


def verify(
    context: typer.Context,
    text: given.Text = None,
    file: given.File = None,
    pair: given.Pair = None,
    target: given.Target = None,
    kind: given.KindOf = None,
    model: given.Model = "",
    revision: given.Revision = None,
    trust_remote_code: given.TrustCode = False,
    as_json: given.Json = False,
    device: given.Device = "auto",
    dtype: given.Format = DType.FLOAT32,
    quiet: given.Quiet = False,
) -> None:
    """Compare layer by layer with Hugging Face's eager attention.

    Without TEXT five built-in texts are read. Every kind of attention is compared unless --kind names
    one; a decoder reads TEXT itself unless --target is given. The exit status is 3 where a number
    differs by more than rounding explains.
    """
    world: World = context.obj
    world.is_quiet = quiet
    chosen = (text,) if text is not None or file is not None else TEXTS
    from attn_cli.pipeline import document  # NumPy: 0.1 s
    from attn_cli.verifying import verified  # the judge: 5 s

    readings = [
        reading_of(
            world,
            Options(
                text=each,
                file=file,
                pair=pair,
                target=target,
                model=model,
                revision=revision,
                trusts_code=trust_remote_code,
                device=device,
                dtype=dtype,
            ),
        )
        for each in chosen
    ]
    verdict = verified(readings, only_kind=kind)
    if as_json:
        from attn_cli.show import data

        world.say(data.as_json(document(readings[0]) | _texts(chosen) | verdict.fields()))
    else:
        from attn_cli.show.terminal.lists import Paragraph, TextTable  # rich: 0.06 s

        world.screen.print(Paragraph(headline(readings[0]), between=" · "))
        world.screen.print(TextTable(_COLUMNS, list(_rows(verdict)), right=(1, 2, 3)))
        world.say(sentence(verdict))
    check(verdict)


def _texts(chosen: "tuple[str | None, ...]") -> dict[str, object]:
    """The texts, where there are several."""
    return {"texts": list(chosen)} if len(chosen) > 1 else {}


def _rows(verdict: "Verdict") -> "Iterator[tuple[str, ...]]":
    for each in verdict.layers:
        output = "unknown" if each.output is None else f"{each.output:.1e}"
        yield each.kind, str(each.layer), f"{each.weights:.1e}", output
