"""Commands whose help has options by topic, explanations of the vocabulary, and examples."""

import inspect
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperCommand, TyperOption

if TYPE_CHECKING:
    from attn_cli.help.layout import Entry, Example, Section
    from attn_cli.vocabulary import Term


class Topic(StrEnum):
    """The topics of options, in the order of the help page."""

    READ = "What to read"
    MODEL = "Which model"
    HEADS = "Which heads"
    SHOW = "What to show"
    SIZE = "Size of the model"
    TRAINING = "Training"
    OUTPUT = "Where to put it"
    COMPUTE = "How to compute"
    OTHER = "Other"


class DocumentedCommand(TyperCommand):
    """A command whose help page is made from its docstring: a summary, paragraphs and examples."""

    def get_help(self, ctx: Any) -> str:
        """The help page, as wide as the terminal."""
        from attn_cli.help.layout import Page  # needed only for --help

        paragraphs, examples = parse_docstring(self.help or "")
        parameters = self.get_params(ctx)
        page = Page(
            usage=" ".join([ctx.command_path, *self.collect_usage_pieces(ctx)]),
            paragraphs=paragraphs,
            sections=[*options_by_topic(parameters), *_vocabulary(parameters)],
            examples=examples,
        )
        return page.text(ctx.obj.width)


def parse_docstring(text: str) -> "tuple[list[str], list[Example]]":
    """The paragraphs of a docstring and its examples: a caption, then a line that begins with `attn`."""
    from attn_cli.help.layout import Example

    prose, _, listed = inspect.cleandoc(text).partition("Examples:\n")
    paragraphs = [" ".join(paragraph.split()) for paragraph in prose.split("\n\n") if paragraph.strip()]
    examples, caption = [], list[str]()
    for line in map(str.strip, listed.splitlines()):
        if line.startswith("attn "):
            examples.append(Example(" ".join(caption).rstrip(":"), line))
            caption = []
        else:
            caption.append(line)
    return paragraphs, examples


def options_by_topic(parameters: Sequence[Any]) -> "list[Section]":
    """The options in sections, in the order of `Topic`; within a section, in the command's order."""
    from attn_cli.help.layout import Section

    by_topic: dict[str, list[Entry]] = {topic: [] for topic in Topic}
    for parameter in parameters:
        if not parameter.hidden:
            topic = getattr(parameter, "rich_help_panel", None) or Topic.OTHER
            by_topic[topic].append(option_entry(parameter))
    return [Section(topic, entries) for topic, entries in by_topic.items() if entries]


def option_entry(parameter: Any) -> "Entry":
    """The names and value of an option, and its description."""
    from attn_cli.help.layout import Entry

    if isinstance(parameter, TyperArgument):
        return Entry(parameter.human_readable_name, parameter.help or "")
    takes = "" if parameter.is_flag else f" {parameter.metavar}"
    names = ", ".join(sorted(parameter.opts, key=len)) + takes
    if parameter.secondary_opts:
        names = " / ".join([names, *parameter.secondary_opts])
    return Entry(names, " ".join([parameter.help or "", *_defaults(parameter)]))


def _defaults(option: TyperOption) -> Iterator[str]:
    """The default and the environment variable of an option."""
    from attn_cli.help.layout import unbroken

    phrases = []
    if isinstance(option.show_default, str):
        phrases.append(f"default: {option.show_default}")
    elif option.show_default and option.default is not None and not option.is_flag:
        default = option.default
        phrases.append(f"default: {default:g}" if isinstance(default, float) else f"default: {default}")
    if option.envvar is not None:
        phrases.append(f"environment: {option.envvar}")
    if phrases:
        yield f"[{'; '.join(map(unbroken, phrases))}]"


def _vocabulary(parameters: Sequence[Any]) -> "Iterator[Section]":
    """The words that the options accept, each with a one-line explanation."""
    from attn_cli.help.layout import Entry, Section
    from attn_cli.vocabulary import Distance, Lesson, Metric, Pattern, Step

    explained = {
        "STEP": ("Steps, in the order of the computation", Step),
        "METRIC": ("Metrics, each the mean over the rows of a head that count for it", Metric),
        "CONDITION": ("Patterns, for --where pattern=NAME (or none)", Pattern),
        "LESSON": ("Lessons, each with the numbers of this row", Lesson),
        "DISTANCE": ("Distances, each the mean over the rows of two heads", Distance),
    }
    taken = {parameter.metavar for parameter in parameters}
    for metavar, (heading, words) in explained.items():
        if metavar in taken:
            yield Section(heading, [Entry(word, _explained(word)) for word in words])


def _explained(word: "Term") -> str:
    from attn_cli.help.layout import unbroken

    return f"{word.explanation} ({unbroken(word.unit)})" if word.unit else word.explanation
