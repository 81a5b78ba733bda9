"""Puts a user's message through the model's chat template."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from attn_cli.errors import UsageError
from attn_cli.models.source import Source
from attn_cli.models.tokens.chat.rendering import write_chat
from attn_cli.models.tokens.chat.template import ChatTemplate
from attn_cli.models.tokens.token import Token
from attn_cli.reading.chat.message import Chat


def write_with_template(source: Source, chat: Chat) -> Chat:
    """The chat as the model's template writes it, up to where the model's answer begins.

    Raises:
        UsageError: the model has no template, or --no-special was given.
        AttnError: the template is not valid, refuses the messages, or tries what it may not.
    """
    template, owner = _template_of(source)
    return replace(chat, written=write_chat(template, chat.messages, owner))


def _template_of(source: Source) -> tuple[ChatTemplate, str]:
    """The template, and whose it is.

    Raises:
        UsageError: there is none, or the special tokens that it writes are not wanted.
    """
    request, template = source.request, source.chat_template()
    owner = source.card.name if request.tokenizer is None else request.tokenizer
    if template is None:
        hint = "leave out --chat, or use a model that was trained on chats"
        raise UsageError(f"{owner} has no chat template, so it takes no --chat", hint)
    if not request.has_template:
        problem = "--no-special does not apply to --chat: its special tokens are those of the chat template"
        raise UsageError(problem, "leave out --no-special or --chat")
    return template, owner


def chat_remarks(chat: Chat, tokens: Sequence[Token]) -> Iterator[str]:
    """What the template, or the messages themselves, made different from what was given."""
    assert chat.written is not None, "the template has run"
    text = chat.written.text
    given = {"message": chat.user, "system message": chat.system or ""}
    for name, content in given.items():
        start = text.rfind(content.strip())
        if start < 0:
            yield f"the chat template does not write the {name} as it was given"
            continue
        end = start + len(content.strip())
        special = [
            token.text for token in tokens if token.special and start <= token.start < token.end <= end
        ]
        if special:
            listed = ", ".join(dict.fromkeys(f"'{each}'" for each in special))
            yield f"special tokens in the {name} are read as such: {listed}"
