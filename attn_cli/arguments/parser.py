"""Parses the words of a command line into options and values; nothing is silently dropped."""

from collections.abc import Iterator, Sequence
from typing import Any

from typer._click.exceptions import BadOptionUsage, BadParameter, NoSuchOption  # typer's copy of click
from typer._click.parser import _OptionParser
from typer.core import TyperCommand, TyperGroup

from attn_cli.arguments import usage, words
from attn_cli.errors import UsageError

_GIVEN = "attn.given"
_KEEPS_ALL = {"store": "append", "store_const": "append_const"}
_TEXT = "text"  # the argument of commands that read a text
_NAMED_IF_EMPTY = {"TEXT", "STEP"}  # texts may be empty; an empty step gets the list of steps
_CHOICE = "choice"  # click's name for the type of an option with a fixed set of values


class CarefulCommand(TyperCommand):
    """A command with our own usage errors."""

    def make_parser(self, ctx: Any) -> _OptionParser:
        """The parser of the command's words."""
        return _parser_of(self, ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse options and arguments into the context."""
        typed, ctx.allow_extra_args = tuple(args), True
        try:
            extra = super().parse_args(ctx, args)
        except BadParameter as error:
            raise _bad_value(error, ctx) from error
        if not ctx.resilient_parsing:
            _check_words(ctx, extra, typed)
        return extra


class CarefulGroup(TyperGroup):
    """A group of commands with our own errors for unknown commands."""

    def make_parser(self, ctx: Any) -> _OptionParser:
        """The parser of the words before the command."""
        return _parser_of(self, ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command with this name, and the remaining words."""
        commands = self.list_commands(ctx)
        if args[0] not in commands and not ctx.resilient_parsing:
            _check_dashes(ctx, args[:1])
            raise words.unknown_command(args, commands)
        return super().resolve_command(ctx, args)


class _Parser(_OptionParser):
    """Click's parser, except that repeating an option that takes one value is an error."""

    def __init__(self, ctx: Any) -> None:
        super().__init__(ctx)
        self.context = ctx
        self.typed: tuple[str, ...] = ()

    def add_option(
        self,
        obj: Any,
        opts: Sequence[str],
        dest: str | None,
        action: str = "store",
        nargs: int = 1,
        const: Any = None,
    ) -> None:
        """Add the option so that all its values are kept."""
        super().add_option(obj, opts, dest, _KEEPS_ALL.get(action, action), nargs, const)

    def parse_args(self, args: list[str]) -> tuple[dict[str, Any], list[str], list[Any]]:
        """The value of each option, the remaining words, and the parameters in order."""
        self.typed = tuple(args)
        values, rest, order = super().parse_args(args)
        for option in dict.fromkeys(order):
            name = str(option.name)
            if option.param_type_name == "option":
                given = _listed(option, values[name])
                self.context.meta[f"{_GIVEN}.{name}"] = given
                values[name] = self._all(option, given) if option.multiple else self._only(option, given)
        return values, rest, order

    def _all(self, option: Any, given: Sequence[Any]) -> Sequence[Any]:
        """The values that were given.

        Raises:
            UsageError: one of them is empty.
        """
        if "" in given and option.metavar not in _NAMED_IF_EMPTY and not self.context.resilient_parsing:
            raise usage.empty_value(option)
        return given

    def _only(self, option: Any, given: Sequence[Any]) -> Any:
        """The single value that was given.

        Raises:
            UsageError: there are several, or it is empty.
        """
        if self.context.resilient_parsing:
            return given[-1]
        if len(given) > 1 and (not option.is_flag or len(set(given)) > 1):
            raise usage.repeated(option, given)
        if given[0] == "" and option.metavar != "TEXT":
            raise usage.empty_value(option)
        return given[0]

    def _process_opts(self, arg: str, state: Any) -> None:
        """Parse an option, and its value from the following words."""
        if self.context.resilient_parsing:  # shell completion
            super()._process_opts(arg, state)
            return
        self._check(arg, state.rargs)
        try:
            super()._process_opts(arg, state)
        except NoSuchOption as error:
            raise self._unknown(error.option_name) from error
        except BadOptionUsage as error:
            raise usage.no_value(self._known()[error.option_name], ()) from error

    def _check(self, arg: str, following: Sequence[str]) -> None:
        """Raise `UsageError` if the word is not a well-formed option."""
        name, sign, value = arg.partition("=")
        known = self._known()
        option = known.get(name)
        if option is None:
            self._check_unknown(arg, name, known.keys())
        elif not option.is_flag and not sign:
            if not following or following[0] == "--" or following[0].partition("=")[0] in known:
                raise usage.no_value(option, following)
        elif option.is_flag and sign:
            raise usage.needless_value(name, value)
        elif not name.startswith("--") and sign:
            raise usage.short_with_equals(name, value)

    def _check_unknown(self, arg: str, name: str, known: Any) -> None:
        if words.is_text(arg, self._short_opt):
            raise words.dashed_text(arg, _reader(self.context))
        if f"-{name}" in known and len(name) > 2:  # noqa: PLR2004  -head, not -H
            raise usage.single_dash(arg)
        if name.startswith("--"):
            raise self._unknown(name)

    def _unknown(self, name: str) -> UsageError:
        """The error for an option that the command does not have."""
        context, known = self.context, self._known(hidden=False)
        if name in usage.TEXT_OPTIONS:
            return usage.text_option(name, _reader(context))
        owners = list(_owners(context, name))
        if context.parent is None and owners:
            return words.misplaced_option(name, self.typed, context.command.list_commands(context))
        if context.parent is not None and usage.synonym(name) in _spellings(context.parent):
            return usage.unknown_option(name, context.command_path, f"attn {usage.synonym(name)}", ())
        near = usage.suggested(name, known)
        hint = "" if near is None else usage.takes(known[near], near)
        return usage.unknown_option(name, context.command_path, hint, owners)

    def _known(self, *, hidden: bool = True) -> dict[str, Any]:
        """Every option, by each of its names."""
        options = {**self._short_opt, **self._long_opt}
        return {name: option.obj for name, option in options.items() if hidden or not option.obj.hidden}


def _parser_of(command: Any, ctx: Any) -> _OptionParser:
    parser = _Parser(ctx)
    for param in command.get_params(ctx):
        param.add_to_parser(parser, ctx)
    return parser


def _listed(option: Any, given: Sequence[Any]) -> list[Any]:
    """All values of an option; a repeatable option with fixed values also takes a comma-separated list."""
    if not option.multiple or option.type.name != _CHOICE:
        return list(given)
    return [word.strip() for value in given for word in value.split(",")]


def _bad_value(error: BadParameter, ctx: Any) -> UsageError:
    """The error for a value of the wrong type."""
    option: Any = error.param
    given = ctx.meta.get(f"{_GIVEN}.{option.name}")
    place = f"{option.envvar}=" if given is None else f"{usage.option_name(option)} "
    given = given or [option.resolve_envvar_value(ctx) or ""]
    if option.type.name == _CHOICE:
        choices = [str(choice) for choice in option.type.choices]
        value = next((value for value in given if value not in choices), given[0])
        return usage.bad_choice(place, value, choices, ctx.command_path)
    return usage.bad_number(option, given[0])


def _check_words(ctx: Any, extra: Sequence[str], typed: Sequence[str]) -> None:
    """Raise `UsageError` if the words that are not options are not what the command reads."""
    found = [*_arguments(ctx), *extra]
    _check_dashes(ctx, found)
    if not extra:
        return
    if not any(param.name == _TEXT for param in ctx.command.params):
        raise words.needless_words(extra, ctx.command_path)
    raise (
        words.option_as_word(extra, _spellings(ctx))
        or words.continued_selection(found, typed, ctx.command.params)
        or words.unquoted_phrase(found, typed, ctx.command.params)
        or words.several_texts(found, ctx.command_path)
    )


def _check_dashes(ctx: Any, found: Sequence[str]) -> None:
    """Raise `UsageError` if a word is an option with a typographic dash."""
    error = words.typographic_option(found, _spellings(ctx))
    if error is not None:
        raise error


def _spellings(ctx: Any) -> list[str]:
    """Every name of every option of the command."""
    names = (name for param in ctx.command.get_params(ctx) for name in (*param.opts, *param.secondary_opts))
    return [name for name in names if name.startswith("-")]


def _arguments(ctx: Any) -> Iterator[str]:
    """The words parsed as arguments of the command."""
    for param in ctx.command.params:
        if param.param_type_name == "argument":
            value = ctx.params.get(param.name)
            values = value if isinstance(value, list | tuple) else [value]
            yield from (str(each) for each in values if each is not None)


def _owners(ctx: Any, name: str) -> Iterator[str]:
    """The commands that have the option; this loads all of them, which takes 0.1 s."""
    group = ctx if ctx.parent is None else ctx.parent
    for command in group.command.list_commands(group):
        params = group.command.get_command(group, command).params
        if any(name in (*param.opts, *param.secondary_opts) and not param.hidden for param in params):
            yield command


def _reader(ctx: Any) -> str:
    """The command that would read a text."""
    return "attn inspect" if ctx.parent is None else str(ctx.command_path)
