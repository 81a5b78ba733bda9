"""A chat template: a program in Jinja that writes messages as one text."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from attn_cli.record import record

Message: TypeAlias = Mapping[str, Any]
"""A role and a content: a string, or a list of parts as templates of models for images take it."""


@record(frozen=True, slots=True)
class ChatTemplate:
    """A template, with the special tokens of its tokenizer as variables (`bos_token`)."""

    source: str
    variables: Mapping[str, str]


@record(frozen=True, slots=True)
class WrittenChat:
    """The text that a template wrote, and the messages in the form in which it took them."""

    template: ChatTemplate
    text: str
    messages: Sequence[Message]
