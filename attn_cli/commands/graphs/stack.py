"""Opens a text as one stack of a model reads it: of an encoder-decoder model its decoder."""

from dataclasses import replace
from typing import TYPE_CHECKING

from attn_cli.commands import options
from attn_cli.commands.inputs import generation_of, open_model, read_whole, source_request
from attn_cli.commands.texts import text_request
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.vocabulary import Kind

if TYPE_CHECKING:
    from attn_cli.models.source import Source
    from attn_cli.reading.reading import Reading


def read_stack(
    world: World, inputs: options.ReadingOptions, compute: options.ComputeOptions, *, may_be_encoder: bool
) -> "Reading":
    """The text as the decoder reads it, or the model's only stack, or with --kind encoder the encoder.

    A decoder without a text of its own, that does not go on with one either, reads its start token.

    Raises:
        AttnError: the model or its weights cannot be read.
        UsageError: --kind is none of these.
    """
    generation = generation_of(inputs, compute)
    texts = text_request(world, inputs.text)
    source = open_model(world, source_request(inputs.source, compute, is_drawn=generation is not None))
    kind = _kind(source, inputs.kind, may_be_encoder=may_be_encoder)
    if kind is Kind.DECODER and texts.target is None and generation is None:
        texts = replace(texts, target="")
    reading = read_whole(world, source, replace(texts, kind=kind), generation)
    return reading.with_suited_backend(source.card.layers)


def _kind(source: "Source", asked: Kind | None, *, may_be_encoder: bool) -> Kind | None:
    """The kind of self-attention; None: the only one."""
    from attn_cli.reading.reading import check_kind

    if asked is not None:
        check_kind(asked, source)
    if not source.has_decoder:
        return None
    if asked is Kind.ENCODER and may_be_encoder:
        return asked
    if asked in {None, Kind.DECODER}:
        return Kind.DECODER
    if may_be_encoder:
        raise UsageError(
            f"--kind {asked} is no stack: rollout, flow and graphs are of one, with its cross-attention",
            "--kind encoder or --kind decoder",
        )
    problem = f"--kind {asked} does not apply: effects are those of all decoder and cross heads"
    raise UsageError(problem, "leave out --kind")
