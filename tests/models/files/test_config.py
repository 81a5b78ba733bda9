"""`config.json`: values of the right type, or an error that names the wrong one."""

from pathlib import Path
from typing import Any

import pytest

from attn_cli.errors import AttnError
from attn_cli.models.files.config import Config, read_config, read_json

REPAIR = "download the model again, or repair the file"
FILE = Path("there/config.json")


def of(**values: Any) -> Config:
    return Config(values, FILE)


def refused(caught: pytest.ExceptionInfo[AttnError], problem: str, hint: str = REPAIR) -> None:
    assert (caught.value.problem, caught.value.hint) == (problem, hint)


def test_values_are_read_by_their_types() -> None:
    config = of(a=0, b=1.5, c="word", d=True, e=3)
    assert (config.integer("a"), config.count("e"), config.number("b")) == (0, 3, 1.5)
    assert (config.text("c"), config.flag("d", default=False)) == ("word", True)
    assert isinstance(config.number("e"), float)


def test_the_first_name_with_a_value_counts_and_null_is_none() -> None:
    config = of(new=None, old=7, older=8)
    assert config.integer("new", "old", "older") == 7
    assert config.integer("new", default=5) == 5
    assert config.number("nowhere", default=0.5) == 0.5
    assert config.text("nowhere", default="") == ""
    assert config.flag("nowhere", default=True)


def test_false_and_zero_are_values() -> None:
    config = of(no=False, zero=0)
    assert not config.flag("no", default=True)
    assert config.integer("zero", default=9) == 0


def test_a_value_that_is_missing_is_named_by_its_newest_name() -> None:
    with pytest.raises(AttnError) as caught:
        of(b=None).integer("a", "b")
    refused(caught, "there/config.json has no a")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "true"), (2.0, "2.0"), ("2", '"2"'), (-1, "-1"), ([2], "[2]"), ({}, "{}")],
)
def test_only_integers_are_accepted_as_integers(value: object, shown: str) -> None:
    with pytest.raises(AttnError) as caught:
        of(n=value).integer("n")
    refused(caught, f"there/config.json says n is {shown}, which is not a whole number")


def test_a_count_starts_at_one() -> None:
    with pytest.raises(AttnError) as caught:
        of(n=0).count("n")
    refused(caught, "there/config.json says n is 0, which is not 1 or more")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "true"),
        ("1", '"1"'),
        (float("nan"), "NaN"),
        (-float("inf"), "-Infinity"),
        (10**400, "1" + "0" * 38 + "…"),
    ],
)
def test_a_number_is_finite(value: object, shown: str) -> None:
    with pytest.raises(AttnError) as caught:
        of(x=value).number("x")
    refused(caught, f"there/config.json says x is {shown}, which is not a number")


def test_only_strings_and_flags_are_accepted_as_such() -> None:
    with pytest.raises(AttnError) as caught:
        of(s=["gelu"]).text("s")
    refused(caught, 'there/config.json says s is ["gelu"], which is not a string')
    with pytest.raises(AttnError) as caught:
        of(f=1).flag("f", default=False)
    refused(caught, "there/config.json says f is 1, which is not true or false")


def test_the_error_has_the_name_in_the_file() -> None:
    config = of(new=None, old=-3)
    with pytest.raises(AttnError) as caught:
        config.integer("new", "old")
    refused(caught, "there/config.json says old is -3, which is not a whole number")
    error = config.unfit("new", "old", what="a divisor of 12")
    assert error.problem == "there/config.json says old is -3, which is not a divisor of 12"


def test_a_long_value_is_truncated() -> None:
    with pytest.raises(AttnError) as caught:
        of(n="x" * 1000).integer("n")
    refused(caught, f'there/config.json says n is "{"x" * 38}…, which is not a whole number')


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(AttnError) as caught:
        read_config(tmp_path)
    problem = f"{tmp_path}/config.json cannot be read: No such file or directory"
    refused(caught, problem, "check the model's directory")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (
            b"{'a': 1}",
            "is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (b"\xff\xfe", "is not JSON: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"[1]", "contains a JSON list, not an object"),
        (b"null", "contains a JSON NoneType, not an object"),
    ],
)
def test_a_file_without_an_object_says_so(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(content)
    with pytest.raises(AttnError) as caught:
        read_json(file)
    refused(caught, f"{file} {problem}")


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b'{"a": ' + b"9" * 5000 + b"}"])
def test_deeply_nested_json_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(content)
    with pytest.raises(AttnError, match="is not JSON: "):
        read_json(file)


def test_heads_must_divide_the_width() -> None:
    assert of(n_head=4).heads("n_head", "heads", width=32) == 4
    with pytest.raises(AttnError) as caught:
        of(heads=5).heads("n_head", "heads", width=32, of="n_embd")
    refused(caught, f"{FILE} says heads is 5, which is not a divisor of n_embd 32")


def test_an_integer_has_at_most_63_bits() -> None:
    assert of(size=2**63 - 1).integer("size") == 2**63 - 1
    with pytest.raises(AttnError):
        of(size=2**63).integer("size")
