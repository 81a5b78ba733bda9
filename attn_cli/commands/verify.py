"""`attn verify`: compares our numbers with Hugging Face's eager attention, layer by layer."""

from dataclasses import replace
from typing import TYPE_CHECKING

from attn_cli.commands import options
from attn_cli.commands.inputs import check_source, open_model, read_text, source_request, with_suited_backend
from attn_cli.commands.output import counted, headline_of
from attn_cli.commands.texts import piped_text, text_request
from attn_cli.commands.verdict import check, sentence
from attn_cli.console import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attn_cli.analysis.verification import Verdict
    from attn_cli.reading.reading import Reading, TextRequest

TEXTS = (
    "The animal didn't cross the street because it was too tired.",
    "The cat sat on the mat, and the mat lay where the cat had sat.",
    "In 1969, 2 of 3 men walked on the Moon; the third (M. Collins) stayed in orbit.",
    "Ein naïves Café, 日本, Ελλάδα 🙂 and back again.",
    "yes",
)
"""The texts used without TEXT: long and short, with repetition, numbers and other scripts."""

_COLUMNS = ("kind", "layer", "weights", "output")


EXAMPLES = """
The bundled model on the built-in texts:
    attn verify
BERT on a text of your own:
    attn verify "the cat sat" -m bert-base-cased
"""


def verify_model(
    world: World,
    *,
    text: options.TextOptions,
    source: options.SourceOptions,
    kind: options.KindOption = None,
    as_json: options.Json = False,
    backend: options.BackendOptions,
) -> None:
    """Check the numbers against Hugging Face's eager attention.

    Weights and outputs of every layer are compared on TEXT or piped text, or else on five built-in texts.
    All kinds of attention are checked unless --kind selects one; the decoder of an encoder-decoder model
    reads TEXT too unless --target is given. The exit status is 3 if a number differs by more than rounding
    explains.
    """
    requests = _requests(world, text)
    from attn_cli.reading.document import describe_reading  # NumPy: 0.1 s
    from attn_cli.reading.verify import verify_readings  # the reference: 5 s

    model = open_model(world, source_request(source, options.ComputeOptions(backend=backend)))
    readings = [read_text(world, model, request) for request in requests]
    check_source(world, model)
    readings = [with_suited_backend(reading) for reading in readings]
    verdict = verify_readings(readings, only_kind=kind)
    if as_json:
        from attn_cli.show import data

        fields = describe_reading(readings[0]) | _texts(requests) | verdict.fields()
        world.say(data.as_json(fields))
    else:
        _print_table(world, readings, verdict)
    check(verdict)


def _requests(world: World, text: options.TextOptions) -> "list[TextRequest]":
    """The given or piped text, or else the built-in ones."""
    texts = [text.text]
    if text.text is None and text.file is None:
        piped = piped_text(world)
        texts = [piped] if piped else [*TEXTS]
        if piped:
            world.note("the text is read from standard input; for the built-in ones: attn verify < /dev/null")
    return [text_request(world, replace(text, text=one)) for one in texts]


def _print_table(world: World, readings: "Sequence[Reading]", verdict: "Verdict") -> None:
    """Print a line per layer, then the verdict."""
    from attn_cli.show.terminal.lists import Paragraph, TextTable  # rich: 0.06 s

    first = readings[0]
    read = (len(first.tokens), "token") if len(readings) == 1 else (len(readings), "text")
    world.screen.print(Paragraph(headline_of(first.source, counted(*read)), between=" · "))
    world.screen.print(TextTable(_COLUMNS, list(_rows(verdict)), right=(1, 2, 3)))
    world.say(sentence(verdict))


def _texts(requests: "Sequence[TextRequest]") -> dict[str, object]:
    """The texts, if there are several."""
    return {"texts": [request.text for request in requests]} if len(requests) > 1 else {}


def _rows(verdict: "Verdict") -> "Iterator[tuple[str, ...]]":
    for difference in verdict.layers:
        output = "unknown" if difference.output is None else f"{difference.output:.1e}"
        yield difference.kind, str(difference.layer), f"{difference.weights:.1e}", output
