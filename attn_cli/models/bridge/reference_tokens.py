"""The tokens of a text as transformers' AutoTokenizer and the model's own shift make them."""

from functools import cache
from pathlib import Path
from typing import Any

import transformers

from attn_cli.models.hf_errors import translated_errors
from attn_cli.models.source import ReferenceTokens
from attn_cli.models.tokens.chat.template import WrittenChat


@cache
def _tokenizer(directory: Path, trusts_code: bool) -> Any:
    with translated_errors(f"AutoTokenizer cannot read {directory}"):
        return transformers.AutoTokenizer.from_pretrained(
            directory, local_files_only=True, trust_remote_code=trusts_code
        )


def auto_tokens(
    directory: Path,
    config: Any,
    texts: tuple[str, str | None, str | None],
    *,
    trusts_code: bool,
    has_template: bool = True,
    chat: WrittenChat | None = None,
) -> ReferenceTokens:
    """The tokens of a text, of a pair, and of a decoder's text; without a template, no special tokens.

    In place of the text those of a chat, which transformers writes by its own rules.

    Raises:
        AttnError: transformers cannot read the tokenizer, or cannot use it.
    """
    tokenizer, (text, pair, target) = _tokenizer(directory, trusts_code), texts
    how = {"add_special_tokens": has_template}
    with translated_errors("AutoTokenizer cannot read the text"):
        if chat is not None:
            encoding = _chat_encoding(tokenizer, chat)
        else:
            encoding = tokenizer(text, **how) if pair is None else tokenizer(text, pair, **how)
        ids = [int(number) for number in encoding["input_ids"]]
        labels = None if target is None else tokenizer(text_target=target, **how)["input_ids"]
    segments = None
    if (getattr(config, "type_vocab_size", None) or 0) > 1:
        segments = [int(number) for number in encoding.get("token_type_ids", [0] * len(ids))]
    return ReferenceTokens(ids, segments, None if labels is None else _shifted(config, labels))


def _chat_encoding(tokenizer: Any, chat: WrittenChat) -> Any:
    """The chat's tokens; a template that only the model's processor has is named to the tokenizer."""
    source = chat.template.source if tokenizer.chat_template is None else None
    messages = [dict(message) for message in chat.messages]
    return tokenizer.apply_chat_template(
        messages, chat_template=source, add_generation_prompt=True, tokenize=True, return_dict=True
    )


def _shifted(config: Any, labels: list[int]) -> list[int] | None:
    """The decoder's input, as `shift_tokens_right` makes it from the labels."""
    start = getattr(config, "decoder_start_token_id", None)
    if start is None:
        start = getattr(getattr(config, "decoder", None), "decoder_start_token_id", None)
    if not labels:
        return None
    return [labels[-1] if start is None else int(start), *map(int, labels[:-1])]
