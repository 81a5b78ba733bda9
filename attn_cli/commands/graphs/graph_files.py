"""Builds the graph that the options ask for, and writes its files."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attn_cli.commands.graphs.asked import AskedOptions, prediction_place
from attn_cli.commands.graphs.options import GraphOptions
from attn_cli.commands.graphs.view import View
from attn_cli.commands.inputs import selected_places
from attn_cli.commands.results.output import write
from attn_cli.console import World
from attn_cli.errors import AttnError, UsageError
from attn_cli.reading.selection import Selection
from attn_cli.show.graph.files import GraphSchema
from attn_cli.vocabulary import Kind

if TYPE_CHECKING:
    from attn_cli.answers.effects import Effects
    from attn_cli.answers.graph import AttentionGraph
    from attn_cli.reading.graph.weights import Predicted
    from attn_cli.reading.reading import Reading

_NEEDS_NO_SUM = "--graph weights, which needs no sum"


@contextmanager
def hinting_at_weights(is_graph: bool) -> Iterator[None]:
    """If there is to be a graph of effects that do not add up, the hint is another graph, not ablation."""
    try:
        yield
    except AttnError as error:
        if is_graph and error.hint.startswith("--ablate"):
            raise AttnError(error.problem, _NEEDS_NO_SUM) from error
        raise


def write_effects_graph(
    world: World,
    reading: "Reading",
    effects: "Effects",
    document: Mapping[str, object],
    graph: GraphOptions,
    view: View,
) -> None:
    """Write the graph of an answer that has its looks.

    Raises:
        AttnError: the effects do not add up.
        UsageError: the schema cannot hold them.
    """
    from attn_cli.reading.graph.effects import effects_graph

    if effects.direct is None or effects.kept is None:
        raise AttnError(effects.reason, _NEEDS_NO_SUM)
    if graph.schema is GraphSchema.NEURONPEDIA and reading.source.has_decoder:
        problem = "the schema of neuronpedia has the tokens of one text, and the model reads two"
        raise UsageError(problem, "--schema node-link")
    _write(world, effects_graph(reading, effects, effects.direct, effects.kept), document, graph, view)


def write_rows_graph(
    world: World,
    reading: "Reading",
    chosen: Selection,
    asked: AskedOptions,
    graph: GraphOptions,
    view: View,
) -> None:
    """Write the graph of the weights or norms of all layers, with the prediction if the model makes one.

    Raises:
        AttnError: the edges are too many, memory is short, a number is not finite, or norms are not known.
    """
    from attn_cli.reading.document import describe_reading
    from attn_cli.reading.graph.weights import weights_graph, with_cross_heads

    heads = with_cross_heads(reading, selected_places(world, reading, chosen))
    prediction = _predicted_if_any(world, reading, asked)
    found = weights_graph(reading, heads, graph.measure, graph.share, prediction)
    _write(world, found, describe_reading(reading), graph, view)


def _predicted_if_any(world: World, reading: "Reading", asked: AskedOptions) -> "Predicted | None":
    """What the model predicts; None, with a remark, if it does not and nothing was asked about that."""
    try:
        return _predicted(reading, asked)
    except AttnError as error:
        if asked.position is not None or asked.token is not None:
            raise
        world.note(f"the graph has no prediction: {error.problem}")
        return None


def _predicted(reading: "Reading", asked: AskedOptions) -> "Predicted":
    """What the model predicts at the position, or how likely it takes the token to be.

    Raises:
        AttnError: it predicts nothing, or the position or the token is none of its own.
    """
    from attn_cli.reading.effects.asked_token import find_token
    from attn_cli.reading.graph.weights import Predicted
    from attn_cli.reading.predictions import predicted_token

    if reading.kind is Kind.ENCODER:
        raise AttnError("the encoder predicts nothing", "--kind decoder")
    predictor = reading.source.predictor(reading.texts)
    place = prediction_place(reading, asked.position, is_next=predictor.is_next)
    typed = asked.token
    token = None if typed is None else find_token(reading.source, reading.kind, typed, "--token")
    return Predicted(place, predicted_token(reading, predictor, place, token))


def _write(
    world: World, found: "AttentionGraph", document: Mapping[str, object], graph: GraphOptions, view: View
) -> None:
    from attn_cli.show.graph.content import GraphContent, kept_in_words

    content = GraphContent(found, document)
    for kind, files in graph.kinds(view.files).items():
        write(world, files, kind, lambda: content, force=view.force)
    world.note(kept_in_words(found))
