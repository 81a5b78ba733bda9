"""`attn explain` shows one page at a time, and the command that a lesson ends with runs."""

import shlex

import pytest

from attn_cli.vocabulary import Lesson
from tests.support.worlds import attn, refused

HEAD = ("--heads", "2.5", "--query", "-1")


@pytest.mark.parametrize("lesson", Lesson)
@pytest.mark.parametrize("text", ["the cat sat on it", "-5 degrees is cold", "it's $HOME, `ls`"])
def test_a_lesson_ends_with_a_command_about_the_same_text(lesson: Lesson, text: str) -> None:
    shown = attn("explain", *HEAD, "--lesson", lesson, "--dtype", "float64", "--no-special", "--", text)
    (command,) = (line for line in shown.out.splitlines() if line.strip().startswith("attn "))
    name, *arguments = shlex.split(command)[1:]
    again = attn(name, "--json", *arguments)
    assert again.status == 0
    assert (again.document["text"], again.document["dtype"]) == (text, "float64")
    assert again.document["tokens"][0]["text"] != "<s>"


def test_a_lesson_and_another_key_are_two_pages() -> None:
    asked = attn("explain", "the cat sat", *HEAD, "--lesson", "mask", "--over", "cat")
    problem = "--over and --lesson are two pages: --over cat, --lesson mask"
    assert refused(asked) == (2, problem, "--over cat, or --lesson mask")


@pytest.mark.parametrize("other", [("--over", "1"), ("--lesson", "scale")])
def test_matrices_belong_to_the_page_of_one_weight(other: tuple[str, str]) -> None:
    asked = attn("explain", "the cat sat", *HEAD, "--weights", *other)
    problem = f"--weights applies only to the page of one weight: {other[0]} asks for another page"
    assert refused(asked) == (2, problem, f"leave out --weights, or {other[0]}")
