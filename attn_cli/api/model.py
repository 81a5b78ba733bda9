"""Opens a model from Python: the same models, and the same numbers, as on the command line."""

import warnings
from typing import Any, TypeVar

from attn_cli.api.predictions import ModelPredictions
from attn_cli.api.reading import ModelReading, Tokens
from attn_cli.errors import UsageError
from attn_cli.models.open import open_source
from attn_cli.models.source import Source, SourceRequest
from attn_cli.reading.chat.message import requested_chat
from attn_cli.reading.language_model.generation import continued, read_beginning
from attn_cli.reading.language_model.request import Drawing, check_seed, requested_continuation
from attn_cli.reading.reading import Generation, Reading, TextRequest, read
from attn_cli.reading.steps import unwarned
from attn_cli.safe_text import printable
from attn_cli.vocabulary import DType, Kind

_Choice = TypeVar("_Choice", DType, Kind)


class Model:
    """A model that reads texts; its weights are read as they are needed."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def name(self) -> str:
        """Its name: that of the directory, the file, or the model on the hub."""
        return self._source.card.name

    @property
    def type(self) -> str:
        """Its `model_type`, such as `gpt2`."""
        return self._source.card.type

    @property
    def layers(self) -> int:
        """The number of its layers."""
        return self._source.card.layers

    @property
    def heads(self) -> int:
        """The number of query heads of a layer."""
        return self._source.card.heads

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of attention that it has: `self`, or `encoder`, `decoder` and `cross`."""
        return tuple(map(str, self._source.kinds))

    def read(
        self,
        text: str,
        *,
        pair: str | None = None,
        target: str | None = None,
        kind: str | None = None,
        chat: bool = False,
        system: str | None = None,
        generate: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> ModelReading:
        """Tokenize a text; layers run when a head is asked for.

        `pair` is a second segment, `target` the decoder's text of an encoder-decoder model, `kind` the
        attention that is read: by default `self`, or `encoder`. With `chat` the text is a user's message in
        the model's chat template, after the message `system`. With `generate` the model goes on with the
        text by at most so many tokens first: the likeliest each time, or drawn with `temperature`, `top_p`
        and `seed`. What limits the reading is a warning.

        Raises:
            AttnError: the text has no tokens, or more than the model has positions, or the model does not go
                on with texts.
            UsageError: the model takes no second text, has no such kind of attention, or an option has no
                use.
        """
        which = None if kind is None else _one_of(Kind, kind, "kind of attention")
        message = requested_chat(text, system, is_chat=chat)
        request = TextRequest(text, pair, target, which, message)
        check_seed(generate, seed)
        drawing = Drawing(temperature, top_p, seed)
        generation = requested_continuation(generate, drawing, target=target, pair=pair)
        reading = read(self._source, request) if generation is None else self._continued(request, generation)
        for note in reading.notes:
            warnings.warn(note, stacklevel=2)
        extent = reading.extent
        return ModelReading(reading.with_suited_backend(1 + max((*extent.layers, *extent.others))))

    def predictions(
        self,
        text: str,
        *,
        rows: Tokens | None = None,
        count: int = 5,
        pair: str | None = None,
        target: str | None = None,
        chat: bool = False,
        system: str | None = None,
    ) -> ModelPredictions:
        """What the model expects at places of a text: that of `read(text, ...).predictions(...)`.

        Raises:
            AttnError: the text cannot be read, or the model has no language head that is known.
            UsageError: an option does not fit the model or the text.
        """
        reading = self.read(text, pair=pair, target=target, chat=chat, system=system)
        return reading.predictions(rows=rows, count=count)

    def _continued(self, request: TextRequest, generation: Generation) -> Reading:
        """The text after the model went on with it."""
        reading = _go_on(read_beginning(self._source, request, generation), generation)
        for remark in self._source.generation_remarks:
            warnings.warn(remark, stacklevel=3)
        return reading

    def __repr__(self) -> str:
        card = self._source.card
        return f"<Model {printable(card.name)}: {card.type}, {card.layers} layers × {card.heads} heads>"


def open_model(
    name: str | None = None,
    *,
    revision: str | None = None,
    tokenizer: str | None = None,
    special_tokens: bool = True,
    adapter: bool = True,
    causal: bool | None = None,
    device: str = "auto",
    dtype: str = "float32",
    trust_remote_code: bool = False,
) -> Model:
    """Open a model, as `--model` does: a directory, a `.gguf` file, or a name in the cache or on the hub.

    Without a name it is the model that ships with the package. The options are those of the commands:
    `special_tokens=False` is `--no-special`, `adapter=False` is `--no-adapter`. What is to know of the
    weights is a warning.

    Raises:
        AttnError: the model is missing or damaged, or the device is not available.
        UsageError: an option does not fit the model.
    """
    options: dict[str, Any] = {"revision": revision, "tokenizer": tokenizer, "is_causal": causal}
    request = SourceRequest(
        name,
        **options,
        has_template=special_tokens,
        adapter=adapter,
        trusts_code=trust_remote_code,
        device=device,
        dtype=_one_of(DType, dtype, "number format"),
    )
    source = open_source(request)
    source.check()
    for remark in source.remarks:
        warnings.warn(remark, stacklevel=2)
    return Model(source)


_go_on = unwarned(continued)


def _one_of(choices: type[_Choice], given: str, what: str) -> _Choice:
    """The choice of that name.

    Raises:
        UsageError: there is none.
    """
    try:
        return choices(given)
    except ValueError:
        names = ", ".join(map(str, choices))
        raise UsageError(f"unknown {what}: '{printable(str(given))}'", f"one of {names}") from None
