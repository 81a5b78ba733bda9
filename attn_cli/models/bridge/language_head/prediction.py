"""What a model of the bridge expects: the logits of transformers' own model with its language head."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any

import torch  # 1.7 s: imported only by modules that need it anyway
import transformers

from attn_cli.core.arrays import Floats, to_numpy
from attn_cli.models.backend import Backend
from attn_cli.models.bridge.exact_numbers import exact_numbers
from attn_cli.models.bridge.hf_models import (
    MissingTensorError,
    NamedClass,
    RopeTables,
    inputs_of,
    load_model,
)
from attn_cli.models.files.saved_as import check_tied_head, no_head
from attn_cli.models.files.tensors import Tensor
from attn_cli.models.hf_errors import translated_errors
from attn_cli.models.source import Texts
from attn_cli.record import record
from attn_cli.vocabulary import DType

_MASKED = "AutoModelForMaskedLM"
_NEXT = ("AutoModelForSeq2SeqLM", "AutoModelForCausalLM", "AutoModelForImageTextToText")
_ROUNDING = 0.05  # of the largest logit: more shows that a row sees what follows it


@record(frozen=True, slots=True)
class LanguageClass:
    """A class of transformers with a language head."""

    named: Any
    is_next: bool  # whether a row is about the token that follows, and not about the one in its own place


def language_class(name: str, config: Any) -> LanguageClass:
    """The class with a language head: the one that the files name, or that of the model's type.

    Raises:
        AttnError: there is none.
    """
    classes = [
        LanguageClass(each, auto != _MASKED) for auto in (*_NEXT, _MASKED) for each in _of(auto, config)
    ]
    if not classes:
        raise no_head(name, f"transformers has none for models of type {config.model_type}")
    said = [each for each in classes if each.named.__name__ in (config.architectures or ())]
    looks_back = ("is_decoder", "is_encoder_decoder", "causal")  # XLM has one class for both
    is_encoder = not any(getattr(config, each, False) for each in looks_back)
    masked = [each for each in said or classes if not each.is_next and is_encoder]
    return (masked or said or classes)[0]


def _of(auto: str, config: Any) -> Sequence[Any]:
    """The classes that this Auto class builds for the configuration."""
    mapping = getattr(transformers, auto)._model_mapping  # noqa: SLF001  there is no public way
    if type(config) not in mapping:
        return ()
    built = mapping[type(config)]
    return built if isinstance(built, tuple) else (built,)


@record(frozen=True, eq=False)
class LanguageModel:
    """A loaded model with its own language head."""

    name: str
    model: Any
    is_next: bool  # whether a row is about the token that follows, and not about the one in its own place
    tables: RopeTables


@record(frozen=True, eq=False)
class BridgePredictor:
    """A model, and the tokens of one text; its layers run once."""

    whole: LanguageModel
    texts: Texts
    is_exact: bool  # whether everything is float64, also what transformers casts to float32
    _outputs: dict[int, list[Any]] = field(default_factory=dict, init=False)  # of the parts of the model

    @property
    def is_next(self) -> bool:
        """Whether a row is about the token that follows, and not about the one in its own place."""
        return self.whole.is_next

    @property
    def vocabulary(self) -> int:
        """V, the number of tokens, with those that only fill up the matrix."""
        return int(self.logits([0]).shape[-1])

    def logits(self, rows: Sequence[int]) -> Floats:
        """(R, V) the logits of these rows, in float32 or float64.

        Raises:
            AttnError: transformers cannot run the model, or returns no logits for each token.
        """
        with _remembering(self.whole.model, self._outputs):
            return self._run(self.texts, rows)

    def check_order(self) -> None:
        """Check that no row sees the tokens that follow it, if it is to predict the next one.

        Raises:
            AttnError: the first row changes with the second token.
        """
        tokens, target = self.texts.tokens, self.texts.target
        if not self.is_next or len(target or tokens) == 1:
            return
        shorter = [Texts(tokens, target[:count]) if target else Texts(tokens[:count], ()) for count in (1, 2)]
        one, two = (self._run(texts, [0]) for texts in shorter)
        if abs(one - two).max() > _ROUNDING * abs(two).max():
            raise no_head(
                self.whole.name, "its tokens see those after them, so that no next token is predicted"
            )

    def _run(self, texts: Texts, rows: Sequence[int]) -> Floats:
        """(R, V) the logits of one run."""
        ids, segments = ([getattr(token, name) for token in texts.tokens] for name in ("id", "segment"))
        target = [token.id for token in texts.target]
        inputs = inputs_of(self.whole.model, ids, segments, target)
        length = len(target or ids)
        self.whole.tables.restore()
        with (
            translated_errors(f"transformers cannot run {self.whole.name}"),
            torch.no_grad(),
            exact_numbers(is_wanted=self.is_exact),
            _narrowed(self.whole.model, rows, length) as is_narrowed,
        ):
            logits = getattr(self.whole.model(**inputs), "logits", None)
        return self._chosen(logits, rows, length, is_narrowed=bool(is_narrowed))

    def _chosen(self, logits: Any, rows: Sequence[int], length: int, *, is_narrowed: bool) -> Floats:
        """(R, V) these rows of what the model returned, from which the others may be left out already.

        Raises:
            AttnError: it has another shape.
        """
        shape = tuple(getattr(logits, "shape", ()))
        count = len(rows) if is_narrowed else length
        if len(shape) != 3 or shape[:2] != (1, count):  # noqa: PLR2004  (1, T, V)
            raise no_head(
                self.whole.name, f"its class returns no logits for each token: their shape is {shape}"
            )
        found: Floats = to_numpy(logits[0] if is_narrowed else logits[0, list(rows)])
        return found


@contextmanager
def _narrowed(model: Any, rows: Sequence[int], length: int) -> Iterator[list[bool]]:
    """Let the head read only these of T rows, so that T × V logits are never computed.

    The list has an entry once that was done.
    """
    done: list[bool] = []

    def narrow(_module: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
        states, *others = given
        if states.ndim < 2 or states.shape[-2] != length:  # noqa: PLR2004  (T, M)
            return given
        done.append(True)
        return (states.index_select(-2, torch.tensor(list(rows), device=states.device)), *others)

    head = model.get_output_embeddings()
    hook = None if head is None else head.register_forward_pre_hook(narrow)
    try:
        yield done
    finally:
        if hook is not None:
            hook.remove()


@contextmanager
def _remembering(model: Any, outputs: dict[int, list[Any]]) -> Iterator[None]:
    """Let the parts of the model return what they returned in the first run, so that its layers run once."""
    head = model.get_output_embeddings()
    parts = [] if head is None else list(_without_head(model, head))
    own = [part.forward for part in parts]
    for number, (part, forward) in enumerate(zip(parts, own, strict=True)):
        known = outputs.get(number)
        part.forward = (
            _recorded(forward, outputs.setdefault(number, [])) if known is None else _replayed(known)
        )
    try:
        yield
    except BaseException:
        outputs.clear()
        raise
    finally:
        for part, forward in zip(parts, own, strict=True):
            part.forward = forward


def _without_head(model: Any, head: Any) -> Iterator[Any]:
    """The largest parts of the model that are models themselves and do not contain its head."""
    for part in model.children():
        if any(each is head for each in part.modules()):
            yield from _without_head(part, head)
        elif isinstance(part, transformers.PreTrainedModel):
            yield part


def _recorded(forward: Callable[..., Any], outputs: list[Any]) -> Callable[..., Any]:
    def recorded(*given: Any, **named: Any) -> Any:
        outputs.append(forward(*given, **named))
        return outputs[-1]

    return recorded


def _replayed(outputs: Sequence[Any]) -> Callable[..., Any]:
    remaining = iter(outputs)
    return lambda *_given, **_named: next(remaining)


def load_language_model(
    name: str,
    directory: Path,
    config: Any,
    backend: Backend,
    *,
    trusts_code: bool,
    state: Mapping[str, Tensor] | None,
    adapter: Path | None,
) -> LanguageModel:
    """The model with its own language head.

    Raises:
        AttnError: the files have no such head.
    """
    chosen = language_class(name, config)
    try:
        with exact_numbers(is_wanted=backend.dtype is DType.FLOAT64):
            model = load_model(
                *(directory, config, backend),
                trusts_code=trusts_code,
                state=state,
                builder=NamedClass(chosen.named),
            )
    except MissingTensorError as error:
        raise no_head(name, error.problem) from error
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    if getattr(head, "weight", None) is getattr(embeddings, "weight", None):
        check_tied_head(name, directory, adapter, chosen.named.__name__)
    return LanguageModel(name, model, chosen.is_next, RopeTables.of(model))
