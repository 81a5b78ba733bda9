"""A user's message to a chat model, and what the template made of it."""

from typing import TYPE_CHECKING

from attn_cli.errors import UsageError
from attn_cli.record import record

if TYPE_CHECKING:
    from attn_cli.models.tokens.chat.template import WrittenChat


@record(frozen=True, slots=True)
class Chat:
    """A user's message, and the system message before it."""

    user: str
    system: str | None = None  # None: none, or the template's own
    written: "WrittenChat | None" = None  # None: the template has not run yet

    @property
    def messages(self) -> list[dict[str, str]]:
        """The messages as given, by role."""
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        return [*system, {"role": "user", "content": self.user}]


def requested_chat(user: str, system: str | None, *, is_chat: bool) -> Chat | None:
    """The chat; None if the text is to be read as it is.

    Raises:
        UsageError: a system message was given without a chat.
    """
    if is_chat:
        return Chat(user, system)
    if system is not None:
        problem = "a system message is part of a chat: --system was given without --chat"
        raise UsageError(problem, "--chat, or leave out --system")
    return None
