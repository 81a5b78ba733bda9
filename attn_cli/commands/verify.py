"""`attn verify`: compares our numbers with Hugging Face's eager attention, step by step."""

from dataclasses import replace
from typing import TYPE_CHECKING

from attn_cli.commands import options
from attn_cli.commands.inputs import check_source, open_model, read_text, source_request, with_suited_backend
from attn_cli.commands.results.output import counted, headline_of
from attn_cli.commands.results.verdict import check, remarks, sentence
from attn_cli.commands.texts import piped_text, text_request
from attn_cli.console import World
from attn_cli.vocabulary import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attn_cli.analysis.verification import Difference, LayerDifferences, Verdict
    from attn_cli.models.source import Source
    from attn_cli.reading.reading import Reading, TextRequest

TEXTS = (
    "The animal didn't cross the street because it was too tired.",
    "The cat sat on the mat, and the mat lay where the cat had sat.",
    "In 1969, 2 of 3 men walked on the Moon; the third (M. Collins) stayed in orbit.",
    "Ein naïves Café, 日本, Ελλάδα 🙂 and back again.",
    "yes",
)
"""The texts used without TEXT: long and short, with repetition, numbers and other scripts."""

_OMITTED = (Check.INPUT, Check.KV_HEADS, Check.LOGITS)  # if the terminal is too narrow
_GAP = 2
_REST = "widen the window, or use --json"

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

    Every step of every layer and head is compared on TEXT or piped text, or else on five built-in texts:
    the token ids, then queries, keys, values, scores, mask, weights, context, and the outputs.
    All kinds of attention are checked unless --kind selects one; the decoder of an encoder-decoder model
    reads TEXT too unless --target is given. The exit status is 3 if a number differs by more than rounding
    explains.
    """
    requests = _requests(world, text)
    from attn_cli.reading.document import describe_reading  # NumPy: 0.1 s
    from attn_cli.reading.verification.verify import verify_readings  # the reference: 5 s

    model = open_model(world, source_request(source, options.ComputeOptions(backend=backend)))
    first = None
    if len(requests) == len(TEXTS):
        requests, first = _with_window_text(world, model, text, requests)
    readings = [read_text(world, model, request) for request in requests]
    check_source(world, model)
    readings = [with_suited_backend(reading) for reading in readings]
    verdict = verify_readings(readings, only_kind=kind, first_layers=first)
    if as_json:
        from attn_cli.show import data

        fields = describe_reading(readings[0]) | _texts(readings) | verdict.fields()
        world.say(data.as_json(fields))
    else:
        _print_table(world, readings, verdict)
    for remark in remarks(verdict):
        world.note(remark)
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


def _with_window_text(
    world: World, model: "Source", text: options.TextOptions, requests: "list[TextRequest]"
) -> "tuple[list[TextRequest], int | None]":
    """The built-in texts, with one more if all are shorter than the model's narrowest window.

    The number is that of the first layers which are compared on it; None: all.
    """
    from attn_cli.reading.verification.window_text import window_text

    found = window_text(model, TEXTS)
    if found is None:
        return requests, None
    if isinstance(found, str):
        world.note(found)
        return requests, None
    where = "all layers" if found.first is None else f"the first {counted(found.first, 'layer')}"
    world.note(f"a text of {found.tokens:,} tokens, longer than the window, is compared in {where}")
    return [*requests, text_request(world, replace(text, text=found.text))], found.first


def _print_table(world: World, readings: "Sequence[Reading]", verdict: "Verdict") -> None:
    """Print a line per layer, a table for each kind of attention, then the verdict."""
    from attn_cli.show.terminal.lists import Paragraph, TextTable  # rich: 0.06 s

    first = readings[0]
    read = (len(first.tokens), "token") if len(readings) == 1 else (len(readings), "text")
    world.screen.print(Paragraph(headline_of(first.source, counted(*read)), between=" · "))
    checks = _columns(world.screen.width)
    kinds = list(dict.fromkeys(layer.kind for layer in verdict.layers))
    for kind in kinds:
        if len(kinds) > 1:
            world.say(f"\n{kind}")
        rows = [_row(verdict, layer, checks) for layer in verdict.layers if layer.kind is kind]
        names = ("layer", *(each.heading for each in checks))
        world.screen.print(TextTable(names, rows, right=range(len(names)), rest=_REST))
    world.conclude(sentence(verdict))


def _columns(width: int) -> "list[Check]":
    """The checks that are shown: all of them in a wide terminal."""
    wide = sum(max(len(each.heading), len("1e-05")) + _GAP for each in Check) + len("layer")
    return [each for each in Check if wide <= width or each not in _OMITTED]


def _texts(readings: "Sequence[Reading]") -> dict[str, object]:
    """The texts, if there are several."""
    return {"texts": [reading.request.text for reading in readings]} if len(readings) > 1 else {}


def _row(verdict: "Verdict", layer: "LayerDifferences", checks: "Sequence[Check]") -> tuple[str, ...]:
    """The differences of one layer; a dash for a step that could not be compared."""
    return str(layer.layer), *(_cell(verdict, each, layer.steps.get(each)) for each in checks)


def _cell(verdict: "Verdict", checked: Check, difference: "Difference | None") -> str:
    """A difference in five characters, marked if it is too large."""
    if difference is None:
        return "-"
    value = difference.value
    shown = f"{value:.0f}" if checked.is_counted else f"{value:.0e}"
    return f"{shown}!" if verdict.exceeds(checked, difference) else shown
