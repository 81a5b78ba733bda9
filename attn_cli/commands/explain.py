"""`attn explain`: the arithmetic of one weight of one head, in full."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from attn_cli.commands import options
from attn_cli.commands.again import asked_again
from attn_cli.commands.inputs import default_head, open_reading, selected_places, selection
from attn_cli.commands.results.output import write
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.safe_text import label, printable
from attn_cli.show.writers import EXPLANATIONS, Page, either
from attn_cli.vocabulary import Language, Lesson, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attn_cli.answers.contrast import KeyContrast
    from attn_cli.answers.weight import Explanation
    from attn_cli.reading.reading import Reading
    from attn_cli.reading.selection import Selection
    from attn_cli.reading.steps import ShownLayer
    from attn_cli.reading.token_selection.text_side import TextSide
    from attn_cli.show.explanation.document import Document

_OF_A_KEY = (Lesson.HEADS, Lesson.RECURRENCE, Lesson.GRAPH)
"""The lessons that single out one key of the row."""

_OF_A_ROW = tuple(lesson for lesson in Lesson if lesson is not Lesson.LENGTH)
"""The lessons that a row can show more or less of."""

_SATURATED = 0.99
"""The largest weight above which a row shows little: the other keys take almost nothing."""

_FILES = f"Write a file instead of the page: {either(EXPLANATIONS)}; may be repeated."

_Digits: TypeAlias = Annotated[
    int,
    typer.Option(
        "--digits",
        min=1,
        max=9,
        metavar="N",
        help="Decimal places of a weight, 1 to 9; other numbers have as many as the arithmetic needs.",
        rich_help_panel=Topic.SHOW,
    ),
]
_Top: TypeAlias = Annotated[
    int,
    typer.Option(
        "--top",
        min=1,
        metavar="K",
        help="List the K largest terms of a sum, and the rest as one number.",
        rich_help_panel=Topic.SHOW,
    ),
]
_Weights: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--weights",
        help="Print the rows of W^Q, W^K, W^V and W^O that are used; of a small layer, all of them.",
        rich_help_panel=Topic.SHOW,
    ),
]
_Lang: TypeAlias = Annotated[
    Language | None,
    typer.Option(
        "--lang",
        metavar="LANG",
        help="Language of the page: en or pt; by default that of LANG, else en.",
        show_default=False,
        rich_help_panel=Topic.SHOW,
    ),
]


_Lesson: TypeAlias = Annotated[
    Lesson | None,
    typer.Option(
        "--lesson",
        metavar="LESSON",
        help="A lesson about this row instead, as listed below.",
        show_default=False,
        rich_help_panel=Topic.SHOW,
    ),
]


@record(frozen=True, slots=True)
class PairOptions:
    """Which weight of the head to explain."""

    topic = Topic.HEADS
    query: Annotated[
        str | None,
        typer.Option(
            "--query",
            metavar="TOKEN",
            help="The token that looks: a position, or a word of the text.",
            show_default=False,
        ),
    ] = None
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="TOKEN",
            help="The token that it looks at; by default the one with the largest weight.",
            show_default=False,
        ),
    ] = None
    over: Annotated[
        str | None,
        typer.Option(
            "--over",
            metavar="TOKEN",
            help="Explain instead why the key has another score than this token: what wrote the difference.",
            show_default=False,
        ),
    ] = None


EXAMPLES = """
The clearest weight of the head that stands out:
    attn explain "Tom Thumb went to sea, and Tom"
One weight of one head:
    attn explain "Tom Thumb went to sea, and Tom" -l 2 -H 6 --query -1 --key 2
The same as a page with formulas, in Portuguese:
    attn explain "Tom Thumb went to sea, and Tom" --lang pt -o weight.md
"""


def explain_weight(
    world: World,
    *,
    inputs: options.ReadingOptions,
    pair: PairOptions,
    lesson: _Lesson = None,
    top: _Top = 6,
    digits: _Digits = 4,
    weights: _Weights = False,
    lang: _Lang = None,
    out: Annotated[list[Path] | None, options.out(_FILES)] = None,
    as_json: options.Json = False,
    force: options.Force = False,
    compute: options.ComputeOptions,
) -> None:
    """Show how one attention weight comes about, digit by digit.

    The page goes from the layer's input to the query and the key, their dot product, the scale, the mask,
    the softmax of the row, the weighted values, and what the head and the layer write. Every result can be
    recomputed from the digits printed above it, with a pocket calculator; what rounding leaves over is
    printed as well.

    Without -l, -H or --heads, the head is one that stands out on this text; without --query, the query is
    that of its clearest pair; without --key, the key is the one with the largest weight.
    """
    from attn_cli.show import files

    _check_page(lesson, pair, has_matrices=weights)
    targets = files.targets(out or (), tuple(EXPLANATIONS), force=force)
    reading = open_reading(world, inputs, compute)
    language = lang or spoken(world)
    explanation = _explanation(world, reading, inputs, pair, lesson)
    shown = _PageOptions(digits, top, weights)
    if lesson is not None:
        answered = _taught(reading, explanation, lesson, shown, asked_again(inputs, compute, lang))
    elif pair.over is not None:
        answered = _compared(reading, explanation, pair.over, shown)
    else:
        answered = _explained(reading, explanation, shown)
    if not as_json and not targets:
        from attn_cli.show.explanation.terminal import Explained  # rich: 0.06 s

        world.screen.print(Explained(answered.page, language), crop=False)
        return
    answer = _document(reading, explanation, answered, top) | _lesson_field(lesson, answered.study)
    write(world, targets, EXPLANATIONS, lambda: Page(answered.page, language, answer), force=force)
    if as_json:
        from attn_cli.show.data import as_json as in_json

        world.say(in_json(answer))


def _check_page(lesson: Lesson | None, pair: PairOptions, *, has_matrices: bool) -> None:
    """Raise `UsageError` if the options ask for more than one page: a weight, `--over`, or a lesson."""
    if lesson is not None and pair.over is not None:
        problem = f"--over and --lesson are two pages: --over {pair.over}, --lesson {lesson}"
        raise UsageError(problem, f"--over {pair.over}, or --lesson {lesson}")
    if pair.key is not None and lesson is not None and lesson not in _OF_A_KEY:
        problem = f"--lesson {lesson} is about all keys of a row, so --key {pair.key} has no effect on it"
        raise UsageError(problem, f"leave out --key, or --lesson {_OF_A_KEY[0]}")
    other = "--over" if pair.over is not None else "--lesson" if lesson is not None else ""
    if has_matrices and other:
        problem = f"--weights applies only to the page of one weight: {other} asks for another page"
        raise UsageError(problem, f"leave out --weights, or {other}")


@record(frozen=True, slots=True)
class _PageOptions:
    """How much a page shows."""

    digits: int
    top: int
    has_matrices: bool


@record(frozen=True, slots=True)
class _Answer:
    """A page, and the difference of two scores or the lesson that it is about."""

    page: "Document"
    contrast: "KeyContrast | None" = None
    study: object = None  # the numbers of the lesson


def _explained(reading: "Reading", explanation: "Explanation", shown: _PageOptions) -> _Answer:
    """The arithmetic of the chosen weight."""
    from attn_cli.show.explanation.page import explanation_page

    page = explanation_page(
        explanation,
        reading.sides,
        reading.source.card.name,
        digits=shown.digits,
        most=shown.top,
        has_matrices=shown.has_matrices,
    )
    return _Answer(page)


def _compared(reading: "Reading", explanation: "Explanation", over: str, shown: _PageOptions) -> _Answer:
    """What wrote the difference between the scores of the key and of the token `over`."""
    from attn_cli.reading.weight.key_contrast import contrast_keys
    from attn_cli.show.explanation.contrast import contrast_page

    place = (explanation.layer, explanation.head)
    other = _token(over, reading.key_side, "key", "--over")
    if other == explanation.key:
        problem = f"--key and --over are the same token: {other} '{printable(reading.keys[other].text)}'"
        raise UsageError(problem, "--over another token of the row")
    contrast = contrast_keys(reading, place, explanation.query, explanation.key, other)
    model = reading.source.card.name
    page = contrast_page(contrast, reading.sides, model, digits=shown.digits, most=shown.top)
    return _Answer(page, contrast)


def _taught(
    reading: "Reading",
    explanation: "Explanation",
    lesson: Lesson,
    shown: _PageOptions,
    again: "Sequence[str]",
) -> _Answer:
    """A lesson about the row."""
    from importlib import import_module

    from attn_cli.reading.lessons.request import LessonRequest
    from attn_cli.show.explanation.document import Document
    from attn_cli.show.explanation.figures import Ledger

    numbers = import_module(f"attn_cli.reading.lessons.{lesson.value}")
    view = import_module(f"attn_cli.show.explanation.lessons.{lesson.value}")
    place = (explanation.layer, explanation.head)
    study = numbers.study(LessonRequest(reading, place, explanation.query, explanation.key))
    ledger = Ledger(shown.digits)
    blocks = list(view.blocks(study, ledger, reading.sides, again))
    return _Answer(Document(blocks, ledger.settle()), study=study)


def _document(
    reading: "Reading", explanation: "Explanation", answered: _Answer, top: int
) -> dict[str, object]:
    """The JSON object: the weight, and the difference of two scores if the page is about one."""
    from attn_cli.reading.document import describe_reading  # these only for JSON: 5 ms
    from attn_cli.show.explanation.entry import contrast_entry, explain_entry
    from attn_cli.show.explanation.sections.board import listed_keys

    entry = explain_entry(explanation, listed_keys(explanation, top))
    contrast = answered.contrast
    compared = {} if contrast is None else {"over": contrast_entry(contrast)}
    return describe_reading(reading) | {"explain": entry} | compared


def _lesson_field(lesson: Lesson | None, study: object) -> dict[str, object]:
    """The field of the JSON object that has the numbers of the lesson."""
    if lesson is None:
        return {}
    from attn_cli.show.explanation.entry import lesson_entry  # only for JSON

    return {"lesson": lesson_entry(lesson.value, study)}


def spoken(world: World) -> Language:
    """The language of the environment: that of LC_ALL, LC_MESSAGES or LANG, else English."""
    names = (world.environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next(filter(None, names), "")
    return Language.PT if locale.partition("_")[0].partition(".")[0].lower() == "pt" else Language.EN


def _explanation(
    world: World,
    reading: "Reading",
    inputs: options.ReadingOptions,
    pair: PairOptions,
    lesson: Lesson | None,
) -> "Explanation":
    """The explanation of the chosen weight; of a row that shows the lesson, where none was chosen.

    Raises:
        UsageError: several heads are chosen, or the tokens are not one each.
    """
    from attn_cli.reading.weight.explanation import explain

    query, key = _tokens(reading, pair)
    chosen = selection(inputs)
    if lesson in _OF_A_ROW and key is None:
        return _telling_row(world, reading, chosen, query, lesson)
    if chosen.is_empty:
        shown, head, telling = _default_head(world, reading)
    else:
        (shown, head), telling = _head(world, reading, chosen), None
    if query is None and key is None:
        query = telling
    if query is None:
        from attn_cli.reading.default_head import find_query  # 5 ms

        query = find_query(reading, shown.layer, head, key)
    return explain(reading, shown, head, query, key)


def _telling_row(
    world: World, reading: "Reading", chosen: "Selection", query: int | None, lesson: Lesson
) -> "Explanation":
    """The chosen row, or one that shows much of the lesson; a remark says which, or that it is saturated."""
    from attn_cli.reading.lessons.row_choice import choose_row
    from attn_cli.reading.weight.explanation import explain

    place = None if chosen.is_empty else _head(world, reading, chosen)
    if place is not None and query is not None:
        explanation = explain(reading, *place, query, None)
        if explanation.softmax.weights.max() > _SATURATED:
            world.note("this row is saturated: without -l, -H and --query, attn chooses one that shows more")
        return explanation
    row = choose_row(reading, lesson, place, query)
    token = label(reading.queries[row.query].text)
    where = f'head {row.shown.number}.{row.head} and the query "{token}" ({row.query})'
    world.note(f"{where} are shown, a row that shows much of this lesson; -l, -H and --query choose another")
    return explain(reading, row.shown, row.head, row.query, None)


def _tokens(reading: "Reading", pair: PairOptions) -> tuple[int | None, int | None]:
    """The positions of the query and the key; None where none was chosen.

    Raises:
        UsageError: a choice is malformed or out of range, or selects several tokens.
    """
    query = None if pair.query is None else _token(pair.query, reading.query_side, "query", "--query")
    return query, None if pair.key is None else _token(pair.key, reading.key_side, "key", "--key")


def _token(chosen: str, side: "TextSide", what: str, option: str) -> int:
    """The position of the token that an option names."""
    from attn_cli.reading.token_selection.select import select_token  # needed only where a token is named

    return select_token(chosen, side, what, option)


def _default_head(world: World, reading: "Reading") -> "tuple[ShownLayer, int, int | None]":
    """The layer and the head that stand out, and the query that shows why."""
    from attn_cli.reading.default_head import describe_choice

    default = default_head(world, reading, (Step.WEIGHTS,))
    if default.out_of > 1:
        for sentence in describe_choice(reading, default):
            world.note(sentence)
    return default.shown, default.head.head, None if default.pair is None else default.pair.query


def _head(world: World, reading: "Reading", chosen: "Selection") -> "tuple[ShownLayer, int]":
    """The layer and the head that are chosen.

    Raises:
        UsageError: several heads are chosen.
    """
    from attn_cli.reading.steps import shown_layer

    places = selected_places(world, reading, chosen)
    if len(places) > 1:
        problem = f"attn explain shows one head, and {len(places)} are chosen"
        raise UsageError(problem, "--heads {}.{}".format(*places[0]))
    number, head = places[0]
    return shown_layer(reading, number), head
