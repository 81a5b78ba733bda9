"""Records behave like frozen dataclasses."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar

import pytest

from attn_cli.record import record


@record(frozen=True, slots=True)
class Slotted:
    """With slots."""

    a: int
    b: str = "b"
    c: list[int] = field(default_factory=list)
    d: float = field(default=0.5, init=False)

    @property
    def twice(self) -> int:
        return 2 * self.a


@record(frozen=True)
class Open:
    """Without slots."""

    a: int
    b: str = "b"


@record(frozen=True, eq=False)
class Same:
    """Equal only to itself."""

    a: int


@record(frozen=True, kw_only=True)
class Named:
    """With keyword-only fields."""

    a: int = 1
    b: str

    def __post_init__(self) -> None:
        if self.a < 0:
            raise ValueError(self.a)


@dataclass(frozen=True, slots=True)
class Model:
    """The dataclass that the record must behave like."""

    a: int
    b: str = "b"
    c: list[int] = field(default_factory=list)
    d: float = field(default=0.5, init=False)


def test_values_come_by_place_and_by_name() -> None:
    assert (Slotted(1, c=[2]).a, Slotted(1).b, Slotted(1, "x").b, Slotted(a=3).twice) == (1, "b", "x", 6)
    assert (Slotted(1).c, Slotted(1).c is Slotted(1).c, Slotted(1).d) == ([], False, 0.5)
    assert Named(b="x").a == 1


@pytest.mark.parametrize(
    "wrong", [(), (1, "b", [], 0.5), {"a": 1, "e": 2}, {"a": 1, "d": 2.0}, ((1,), {"a": 1})], ids=repr
)
def test_records_reject_what_dataclasses_reject(wrong: Any) -> None:
    values, named = (
        wrong if isinstance(wrong, tuple) and wrong and isinstance(wrong[0], tuple) else (wrong, {})
    )
    values, named = ((), values) if isinstance(values, dict) else (values, named)
    for kind in (Model, Slotted):
        with pytest.raises(TypeError):
            kind(*values, **named)
    with pytest.raises(TypeError):
        Named(1, "b")  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", [Slotted, Open, Same, Model])
def test_records_cannot_be_changed(kind: Any) -> None:
    one = kind(1)
    with pytest.raises(FrozenInstanceError):
        one.a = 2
    with pytest.raises(FrozenInstanceError):
        del one.a
    assert one.a == 1


def test_records_with_slots_have_no_room_for_more() -> None:
    assert not hasattr(Slotted(1), "__dict__")
    assert hasattr(Open(1), "__dict__")


def test_equal_values_are_equal_records_unless_they_are_not_to_be() -> None:
    assert Open(1) == Open(1) != Open(2)
    assert hash(Open(1)) == hash(Open(1))
    assert Slotted(1) != Model(1)  # type: ignore[comparison-overlap]
    assert Same(1) != Same(1)
    assert len({Same(1), Same(1)}) == 2


def test_the_functions_of_dataclasses_take_records() -> None:
    one, other = Slotted(1, "x", [2]), Model(1, "x", [2])
    assert is_dataclass(Slotted)
    assert asdict(one) == asdict(other)
    assert [(each.name, each.type) for each in fields(one)] == [
        (each.name, each.type) for each in fields(other)
    ]
    assert replace(one, b="y") == Slotted(1, "y", [2])
    assert repr(one) == repr(other).replace("Model", "Slotted")


@pytest.mark.parametrize("one", [Slotted(1, c=[2]), Open(1), Named(b="x")])
def test_records_are_copied_and_sent_to_other_processes(one: Any) -> None:
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301  its own bytes
    assert copy.deepcopy(one) == one


def test_what_a_class_checks_after_it_is_made_is_checked() -> None:
    with pytest.raises(ValueError, match="-1"):
        Named(a=-1, b="x")


def test_a_record_is_the_class_that_was_written() -> None:
    assert (Slotted.__name__, Slotted.__module__, inspect.getdoc(Slotted)) == (
        "Slotted",
        __name__,
        "With slots.",
    )


@pytest.mark.parametrize(
    ("annotation", "default", "message"),
    [
        (ClassVar[int], 1, "a: ClassVar and InitVar are not supported"),
        (int, field(default=1, compare=False), "a: a field supports only default"),
        (int, field(default=1, repr=False), "a: a field supports only default"),
        (int, field(default=1, kw_only=True), "a: a field supports only default"),
        (list[int], [], "a: mutable default"),
    ],
)
def test_what_a_dataclass_does_and_a_record_does_not_is_refused(
    annotation: Any, default: Any, message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        record(frozen=True)(type("Odd", (), {"__annotations__": {"a": annotation}, "a": default}))


def test_no_record_inherits_from_another() -> None:
    with pytest.raises(AssertionError, match="no inheritance"):
        record(frozen=True)(type("Longer", (Open,), {"__annotations__": {"c": int}}))
