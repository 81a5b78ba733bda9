"""The small files beside a `tokenizer.json`, and which class of transformers they name."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from attn_cli.models.files.config import read_json
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.record import record

Settings: TypeAlias = Mapping[str, Any]
"""The values of `tokenizer_config.json`, with those of `special_tokens_map.json`."""

SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""The named special tokens, as in `PreTrainedTokenizerBase.SPECIAL_TOKENS_ATTRIBUTES`."""

BACKEND = "TokenizersBackend"
"""The class that takes all of `tokenizer.json`, and adds the tokens that the other files name."""

_ALIASES = MappingProxyType(
    {
        **dict.fromkeys(("PreTrainedTokenizerFast", "BloomTokenizer"), BACKEND),
        **dict.fromkeys(("ElectraTokenizer", "MobileBertTokenizer"), "BertTokenizer"),
        **dict.fromkeys(("SqueezeBertTokenizer", "LayoutLMTokenizer"), "BertTokenizer"),
        **dict.fromkeys(("BartTokenizer", "LongformerTokenizer", "LEDTokenizer"), "RobertaTokenizer"),
    }
)
WITH_SEGMENTS = frozenset({"BertTokenizer"})
"""The classes of the table whose `model_input_names` have `token_type_ids`."""

_OF_TYPES = {
    "BertTokenizer": ("bert", "distilbert", "electra", "ernie"),
    "MPNetTokenizer": ("mpnet",),
    "RobertaTokenizer": ("roberta", "bart"),
    "GPT2Tokenizer": ("gpt2", "gpt_neo", "gptj", "opt", "phi", "starcoder2"),
    "GPTNeoXTokenizer": ("gpt_neox", "mpt", "olmo"),
    "Qwen2Tokenizer": ("qwen2", "qwen3", "qwen2_moe", "qwen3_moe"),
    "GemmaTokenizer": ("gemma", "gemma2", "gemma3_text"),
    "T5Tokenizer": ("t5", "mt5"),
    "XLMRobertaTokenizer": ("xlm-roberta",),
    "AlbertTokenizer": ("albert",),
    BACKEND: (  # or one that depends on the version, where the files name none
        *(
            "llama",
            "bloom",
            "falcon",
            "mistral",
            "mixtral",
            "phi3",
            "smollm3",
            "modernbert",
            "olmo2",
            "granite",
        ),
    ),
}
OF_TYPES: Mapping[str, str] = MappingProxyType(
    {kind: name for name, kinds in _OF_TYPES.items() for kind in kinds}
)
"""The class of a model type (`TOKENIZER_MAPPING_NAMES`); of other types it is not known here."""

OVERRULED = frozenset({"qwen2"})
"""Types whose class is used whatever the files name (`MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS`)."""

_OTHERS = ("tekken.json",)  # vocabularies that are preferred to tokenizer.json where a package reads them


@record(frozen=True, slots=True)
class TokenizerFiles:
    """What the small files beside `tokenizer.json` say."""

    settings: Settings
    added: Mapping[str, Any]  # of added_tokens.json: contents to ids
    names: tuple[str, ...]  # the classes that versions of transformers may choose; empty: not known
    has_others: bool  # whether there is a vocabulary that may be preferred to tokenizer.json

    @property
    def has_segments(self) -> bool:
        """Whether the tokenizer tells the model which text a token belongs to."""
        inputs = self.settings.get("model_input_names")
        if isinstance(inputs, list):
            return "token_type_ids" in inputs
        return any(name in WITH_SEGMENTS for name in self.names)


def read_tokenizer_files(directory: Path) -> TokenizerFiles:
    """Read the files in `directory`.

    Raises:
        AttnError: a file is damaged, or a link out of the checkpoint.
    """
    settings = read_beside(directory, "tokenizer_config.json") or {}
    added = dict[str, Any]()
    if "added_tokens_decoder" not in settings:  # else transformers ignores the older files
        settings |= read_beside(directory, "special_tokens_map.json") or {}
        added = read_beside(directory, "added_tokens.json") or {}
    has_others = any((directory / name).exists() for name in _OTHERS)
    names = _class_names(settings, read_beside(directory, "config.json"))
    return TokenizerFiles(settings, added, names, has_others)


def read_beside(directory: Path, name: str) -> dict[str, Any] | None:
    """The values in a file of the checkpoint; None if there is no such file.

    Raises:
        AttnError: it is damaged, or a link out of the checkpoint.
    """
    path = checked_path(directory, name, LARGEST_TEXT)
    return read_json(path) if path.exists() else None


def _class_names(settings: Settings, config: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The classes that versions of transformers may choose (`AutoTokenizer.from_pretrained`)."""
    named = settings.get("tokenizer_class") or (config or {}).get("tokenizer_class")
    if named is not None and not isinstance(named, str):
        return ()
    if config is None:  # an adapter, or a tokenizer alone
        return () if named is None else (class_name(named),)
    kind = None if config.get("model_name") else config.get("model_type")  # a name may overrule the type
    registered = OF_TYPES.get(kind) if isinstance(kind, str) else None
    if registered is None or (named is None and registered == BACKEND):
        return ()
    if named is None:
        return (registered,)
    plain = named.removesuffix("Fast")
    if class_name(named) in WITH_SEGMENTS and plain != registered and not _takes_other_class(registered):
        return ()
    return (class_name(named), *((registered,) if kind in OVERRULED else ()))


def _takes_other_class(registered: str) -> bool:
    """Whether transformers uses the named class for a type that is registered with another one."""
    return registered != BACKEND and has_transformers((5, 8))


def has_transformers(version: tuple[int, int]) -> bool:
    """Whether at least this version of transformers is installed; not if that cannot be told."""
    import importlib.metadata  # 0.02 s

    try:
        installed = re.match(r"(\d+)\.(\d+)", importlib.metadata.version("transformers"))
    except importlib.metadata.PackageNotFoundError:
        return False
    return installed is not None and (int(installed[1]), int(installed[2])) >= version


def class_name(name: str) -> str:
    """The class that transformers 5 has under this name, which may be of version 4."""
    plain = name if name == "PreTrainedTokenizerFast" else name.removesuffix("Fast")
    return _ALIASES.get(plain, plain)
