"""`attn tokens`: the tokens that the model reads, and those that it expects."""

from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.commands.inputs import (
    check_source,
    open_model,
    read_continued,
    read_text,
    say_duration,
    source_request,
    with_suited_backend,
)
from attn_cli.commands.results.continuation import requested_generation
from attn_cli.commands.results.token_list import say_long, say_tokens, show_long, show_tokens
from attn_cli.commands.texts import text_request
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.help.command import Topic
from attn_cli.reading.long_texts.length import LONG
from attn_cli.record import record
from attn_cli.vocabulary import DType

if TYPE_CHECKING:
    from attn_cli.models.source import Source
    from attn_cli.reading.long_texts.listing import LongReading
    from attn_cli.reading.reading import Reading, TextRequest

EXAMPLES = """
The tokens of the bundled model:
    attn tokens "the cat's pyjamas"
A message to a chat model, as the model's template writes it:
    attn tokens "Where is it?" --chat -m Qwen/Qwen3-0.6B
The five likeliest tokens after each one:
    attn tokens "Once upon a time" --predict 5
"""


@record(frozen=True, slots=True)
class PredictionOptions:
    """What the model expects, in place of what it reads."""

    topic = Topic.SHOW
    predict: Annotated[
        int | None,
        typer.Option(
            "--predict",
            min=1,
            metavar="K",
            help="Show the K likeliest tokens after each token, and the rank and probability of the one that "
            "follows; in masked language models, what stands at each masked token.",
            show_default=False,
        ),
    ] = None
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            metavar="TOKENS",
            help="With --predict: only at these tokens: positions (3, -1, 0-4) or words of the text.",
            show_default=False,
        ),
    ] = None


def list_tokens(
    world: World,
    *,
    text: options.TextOptions,
    source: options.SourceOptions,
    generation: options.GenerationOptions,
    seed: options.Seed = None,
    prediction: PredictionOptions,
    backend: options.BackendOptions,
    as_json: options.Json = False,
) -> None:
    """Show the tokens of a text, and which ones the model expects.

    One line per token: its position (for --rows and --columns), its id and piece in the model's vocabulary,
    its text, and where the text starts and ends, in characters. A token without text of its own starts and
    ends at the same place.

    With --predict the model runs, and its language head says what it expects: after each token, the likeliest
    next ones with their probabilities. Encoder-decoder models predict the decoder's text (--target).

    With --generate the model goes on with the text first; a column says which tokens it wrote.
    """
    if seed is not None:
        from attn_cli.reading.language_model.request import check_seed  # few texts go on

        check_seed(generation.generate, seed)
    wanted = requested_generation(generation, text, seed)
    runs = wanted is not None or prediction.predict is not None
    texts = text_request(world, text, runs=runs)
    if prediction.predict is None:
        _check_alone(prediction, backend, runs=runs)
    compute = options.ComputeOptions(backend=backend) if runs else None
    model = open_model(world, source_request(source, compute), weights=runs)
    if not runs and (long := _read_long(world, model, texts)) is not None:
        say_long(world, long) if as_json else show_long(world, long)
        return
    if wanted is not None:
        reading = read_continued(world, model, texts, wanted)
    else:
        reading = read_text(world, model, texts, runs=runs)
        if runs:
            check_source(world, model)
    if prediction.predict is not None:
        _predict(world, with_suited_backend(reading), prediction.predict, prediction.rows, as_json=as_json)
    else:
        say_tokens(world, reading) if as_json else show_tokens(world, reading)


def _check_alone(prediction: PredictionOptions, backend: options.BackendOptions, *, runs: bool) -> None:
    """Raise `UsageError` for options of predictions that were not asked for; ATTN_DEVICE may be set.

    `runs`: whether the model runs nevertheless, in the number format that is asked for.
    """
    dtype = None if runs or backend.dtype is DType.FLOAT32 else backend.dtype
    for option, value in (("--rows", prediction.rows), ("--dtype", dtype)):
        if value is not None:
            raise UsageError(f"{option} applies only with --predict", f"--predict 5 {option} {value}")


def _read_long(world: World, model: "Source", texts: "TextRequest") -> "LongReading | None":
    """The tokens of a long text in columns, with remarks on standard error; None: it is not to be read so."""
    if len(texts.text) <= LONG:
        return None
    from attn_cli.reading.long_texts.listing import read_long  # few texts are long

    long = read_long(model, texts)
    for note in () if long is None else long.notes:
        world.note(note)
    return long


def _predict(world: World, reading: "Reading", count: int, rows: str | None, *, as_json: bool) -> None:
    from attn_cli.reading.predictions import describe_predictions, predict  # NumPy: 0.1 s

    say_duration(world, reading, reading.source.card.layers)
    found = predict(reading, rows, count)
    if as_json:
        from attn_cli.show import data

        world.say(data.as_json(describe_predictions(found)))
    else:
        from attn_cli.show.terminal.predictions import PredictionTable  # rich: 0.06 s

        tokens = [token.name for token in found.reading.queries]
        world.screen.print(PredictionTable(found.places, tokens, is_next=found.is_next))
