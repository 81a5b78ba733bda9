"""What a checkpoint says of generation: its end tokens, and rules about the tokens that may come next.

transformers reads them from `generation_config.json`, or from `config.json` if there is no such file
(`GenerationConfig.from_model_config`).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attn_cli.errors import DamagedFileError
from attn_cli.models.files.config import Config, read_json
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.record import record

FILE = "generation_config.json"
_RELOAD = "download the model again, or repair the file"
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "sequence_bias": (None,),
    "encoder_repetition_penalty": (None, 1, 1.0),
    "encoder_no_repeat_ngram_size": (None, 0),
    "exponential_decay_length_penalty": (None,),
    "guidance_scale": (None, 1, 1.0),
    "stop_strings": (None,),
    "watermarking_config": (None,),
}
"""The rules of transformers that are not applied here, with the values that have no effect."""


@record(frozen=True, slots=True)
class GenerationSettings:
    """Which tokens end a text, and which tokens may not, or must, come next."""

    ends: tuple[int, ...] = ()
    start: int | None = None  # the decoder's first token, if it is not that of the configuration
    forced_first: int | None = None
    forced_last: tuple[int, ...] = ()
    suppressed: tuple[int, ...] = ()
    suppressed_first: tuple[int, ...] = ()
    banned: tuple[tuple[int, ...], ...] = ()  # sequences of ids that may not appear
    repetition_penalty: float = 1.0
    longest_repeat: int = 0  # no sequence of so many tokens appears twice; 0: any may
    fewest: int = 0  # tokens of a text that may end, those before it included
    fewest_new: int = 0  # of its continuation
    remarks: tuple[str, ...] = ()

    @property
    def are_plain(self) -> bool:
        """Whether they say nothing but when a text ends."""
        return self == GenerationSettings(self.ends, self.start, remarks=self.remarks)


_CLASS_ENDS = {
    **dict.fromkeys(("gpt2", "gpt_neo", "gptj"), 50256),
    **dict.fromkeys(("bloom", "gpt_neox", "opt", "phi", "llama", "mistral", "granite", "bart", "roberta"), 2),
    **dict.fromkeys(("gemma", "gemma2", "gemma3_text", "t5"), 1),
    "marian": 0,
    "olmo2": 50279,
    "phi3": 32000,
    "smollm3": 128001,
}
"""The end token of a configuration without one: that of the class in transformers, by model type."""

_CLASS_LAST = {"bart": 2, "marian": 0}
"""The same for the last token, which is forced."""


def read_settings(directory: Path, config: Config) -> GenerationSettings:
    """The settings of the model in the directory, or in the file, that has this configuration.

    Raises:
        AttnError: the file of the settings is damaged, or a value cannot be used.
    """
    path = directory / FILE
    if directory.is_dir() and path.exists():
        return _settings(Config(read_json(checked_path(directory, FILE, LARGEST_TEXT)), path))
    kind, inner = config.values.get("model_type"), config.values.get("text_config")
    of_class = {"eos_token_id": _CLASS_ENDS.get(str(kind)), "forced_eos_token_id": _CLASS_LAST.get(str(kind))}
    of_tower = inner if isinstance(inner, dict) else {}
    return _settings(Config({**of_class, **of_tower, **config.values}, config.path))


def _settings(config: Config) -> GenerationSettings:
    return GenerationSettings(
        ends=_ids(config, "eos_token_id"),
        start=_whole(config, "decoder_start_token_id"),
        forced_first=_whole(config, "forced_bos_token_id"),
        forced_last=_ids(config, "forced_eos_token_id"),
        suppressed=_ids(config, "suppress_tokens"),
        suppressed_first=_ids(config, "begin_suppress_tokens"),
        banned=_sequences(config, "bad_words_ids"),
        repetition_penalty=_penalty(config),
        longest_repeat=_whole(config, "no_repeat_ngram_size") or 0,
        fewest=_whole(config, "min_length") or 0,
        fewest_new=_whole(config, "min_new_tokens") or 0,
        remarks=tuple(_remarks(config)),
    )


def _remarks(config: Config) -> Iterator[str]:
    """Which of its rules are not applied."""
    for name, neutral in _NEUTRAL.items():
        if config.values.get(name) not in neutral:
            yield f"{config.path.name} sets {name}, which is not applied: transformers may go on differently"


def _whole(config: Config, name: str) -> int | None:
    return config.integer(name) if config.has(name) else None


def _ids(config: Config, name: str) -> tuple[int, ...]:
    """One token id, or a list of them; none if it is null."""
    value = config.values.get(name)
    if value is None:
        return ()
    listed = value if isinstance(value, list) else [value]
    if not all(_is_id(each) for each in listed):
        raise _unfit(config, name, value, "a token id or a list of them")
    return tuple(each for each in listed if each >= 0)  # transformers ignores negative ones


def _sequences(config: Config, name: str) -> tuple[tuple[int, ...], ...]:
    value = config.values.get(name)
    if value is None:
        return ()
    is_fit = isinstance(value, list) and all(
        isinstance(each, list) and each and all(map(_is_id, each)) for each in value
    )
    if not is_fit:
        raise _unfit(config, name, value, "a list of lists of token ids")
    return tuple(tuple(each) for each in value)


def _penalty(config: Config) -> float:
    name = "repetition_penalty"
    penalty = config.number(name, default=1.0)
    if penalty <= 0:
        raise _unfit(config, name, penalty, "a number greater than 0")
    return penalty


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _unfit(config: Config, name: str, value: object, what: str) -> DamagedFileError:
    problem = f"{config.path} says {name} is {str(value)[:60]}, which is not {what}"
    return DamagedFileError(problem, _RELOAD, config.path)
