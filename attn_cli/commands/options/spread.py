"""A command's groups of options as click parses them, and their values as groups again."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import fields
from functools import partial
from typing import Any

from typer._click.globals import get_current_context
from typer.core import TyperArgument, TyperOption
from typer.main import get_click_param
from typer.models import ParamMeta

from attn_cli.commands.options import Quiet
from attn_cli.console import World
from attn_cli.help.command import Topic
from attn_cli.record import record


def spread(command: Callable[..., None]) -> tuple[Callable[..., None], list[TyperArgument | TyperOption]]:
    """The command as click calls it, and its options: those of its groups and its own, --quiet last.

    The command itself takes the `World`, its groups and its own options. An option of several groups is
    presented once, as in the first of them.
    """
    _, *taken = inspect.signature(command).parameters.values()
    parameters = [_Parameter(one.name, one.annotation, one.default) for one in taken]
    options = _presented_once(option for parameter in parameters for option in _flattened(parameter))
    presented = [_presented(option) for option in (*options, _Parameter("quiet", Quiet, default=False))]
    converters = {str(option.name): convert for option, convert in presented if convert is not None}

    def called(*, quiet: bool, **values: Any) -> None:
        context = get_current_context()
        world: World = context.obj
        world.is_quiet = quiet
        values |= {name: convert(values[name]) for name, convert in converters.items()}
        is_typed = partial(_is_typed, context)
        command(world, **{parameter.name: _value(parameter, values, is_typed) for parameter in parameters})

    return called, [option for option, _ in presented]


@record(frozen=True, slots=True, eq=False)
class _Parameter:
    """What a command or a group takes: an option, or a group of options."""

    name: str
    annotation: Any
    default: Any
    topic: Topic | None = None  # of its group

    @property
    def is_group(self) -> bool:
        """Whether it is a group: options are annotated."""
        return isinstance(self.annotation, type)

    @property
    def info(self) -> Any:
        """How Typer presents the option."""
        return self.annotation.__metadata__[0]


def _flattened(parameter: _Parameter) -> Iterator[_Parameter]:
    """The parameter, or the options of its group."""
    if parameter.is_group:
        for option in _fields(parameter.annotation):
            yield from _flattened(option)
    else:
        yield parameter


def _presented_once(options: Iterator[_Parameter]) -> Iterator[_Parameter]:
    """The options without those that an earlier one has a name of."""
    taken = set[str]()
    for option in options:
        names = {option.info.default, *(option.info.param_decls or ())} - {...}  # the first: in `default`
        if taken.isdisjoint(names):
            taken |= names
            yield option


def _presented(option: _Parameter) -> tuple[TyperArgument | TyperOption, Callable[[Any], Any] | None]:
    """The option as click parses it, and what makes its value of the annotated type, if click does not.

    Typer would take it from a signature, which reads the annotations of all options three times.
    """
    info = copy(option.info)
    if info.default is not ...:  # in an annotation the first name stands there
        info.param_decls = (info.default, *info.param_decls)
    info.default = ... if option.default is inspect.Parameter.empty else option.default
    info.rich_help_panel = info.rich_help_panel or option.topic
    info.readable = False  # of a path: opening it says why it cannot be read, which is no wrong usage
    return get_click_param(ParamMeta(name=option.name, annotation=option.annotation.__origin__, default=info))


def _value(parameter: _Parameter, values: Mapping[str, Any], is_typed: Callable[[str], bool]) -> Any:
    """The value of the parameter, or its group with the values of the options.

    The default, if an earlier option has its place, or if it does not read the environment that the value is
    from.
    """
    if parameter.is_group:
        group = parameter.annotation
        return group(**{option.name: _value(option, values, is_typed) for option in _fields(group)})
    if parameter.name in values and (parameter.info.envvar is not None or is_typed(parameter.name)):
        return values[parameter.name]
    return parameter.default


def _is_typed(context: Any, name: str) -> bool:
    """Whether the value of an option is from the command line, not from the environment or its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _fields(group: Any) -> Iterator[_Parameter]:
    """The options of a group, or its subgroups."""
    topic = getattr(group, "topic", None)
    return (_Parameter(field.name, field.type, field.default, topic) for field in fields(group))
