"""Records: frozen dataclasses that cost almost nothing at start-up.

`dataclasses.dataclass` compiles four to nine functions per class, 0.3 to 0.5 ms each time a process starts:
for the sixty classes of `attn inspect`, as long as tokenizing a text and running a model. Records share
their functions, which takes 0.02 ms per class. `replace`, `fields` and `asdict` work on records too.
"""

from typing import TYPE_CHECKING

__all__ = ["record"]

if TYPE_CHECKING:
    from dataclasses import dataclass as record  # type checkers know dataclasses
else:
    from dataclasses import _FIELD, MISSING, Field, FrozenInstanceError, field

    def record(*, frozen, slots=False, eq=True, kw_only=False):
        """A class decorator that takes annotated fields, like `dataclasses.dataclass`."""
        assert frozen, "records are frozen"

        def made(cls):
            fields = _fields(cls, kw_only=kw_only)
            shared = {
                "__init__": _init(fields),
                "__repr__": _repr,
                "__setattr__": _refuse,
                "__delattr__": _refuse,
            }
            if eq:
                shared |= {"__eq__": _eq, "__hash__": _hash}
            members = {name: member for name, member in shared.items() if name not in vars(cls)}
            if not slots:
                for name, member in members.items():
                    setattr(cls, name, member)
                cls.__dataclass_fields__ = fields
                return cls
            own = {name: member for name, member in vars(cls).items() if name not in {*fields, *_OF_A_DICT}}
            state = {"__getstate__": _values, "__setstate__": _restore, "__slots__": tuple(fields)}
            slotted = type(cls)(cls.__name__, cls.__bases__, own | members | state)
            slotted.__qualname__, slotted.__dataclass_fields__ = cls.__qualname__, fields
            return slotted

        return made

    _OF_A_DICT = ("__dict__", "__weakref__")

    def _fields(cls, *, kw_only):
        """The fields by name, in the form that `dataclasses` expects."""
        assert not any(hasattr(base, "__dataclass_fields__") for base in cls.__bases__), "no inheritance"
        fields = {}
        for name, annotation in cls.__annotations__.items():
            default = vars(cls).get(name, MISSING)
            one = default if isinstance(default, Field) else field(default=default)
            _check_is_plain(name, annotation, one)
            one.name, one.type, one.kw_only, one._field_type = name, annotation, kw_only, _FIELD  # noqa: SLF001
            if isinstance(default, Field):
                delattr(cls, name)
            fields[name] = one
        return fields

    _NO_FIELDS = ("typing.ClassVar", "ClassVar", "dataclasses.InitVar", "InitVar")

    def _check_is_plain(name, annotation, one):
        """Check that the field uses no feature of `dataclasses` that records do not support."""
        is_field = type(annotation) is type or not str(annotation).startswith(_NO_FIELDS)
        assert is_field, f"{name}: ClassVar and InitVar are not supported"
        is_plain = one.compare and one.repr and one.hash is None and one.kw_only is MISSING
        assert is_plain, f"{name}: a field supports only default, default_factory and init"
        assert one.default is MISSING or type(one.default).__hash__ is not None, f"{name}: mutable default"

    def _init(fields):
        taken = [one for one in fields.values() if one.init]
        names = tuple(one.name for one in taken)
        positional = sum(not one.kw_only for one in taken)
        left = tuple(one for one in fields.values() if not one.init)

        def __init__(self, *values, **named):  # noqa: N807  it becomes the class's __init__
            if len(values) > positional:
                raise TypeError(
                    f"{type(self).__name__} takes {positional} values, but {len(values)} were given"
                )
            put = object.__setattr__
            for name, value in zip(names, values, strict=False):
                put(self, name, value)
            for one in taken[len(values) :]:
                put(self, one.name, named.pop(one.name) if one.name in named else _default(self, one))
            for one in left:
                put(self, one.name, _default(self, one))
            if named:
                raise TypeError(
                    f"{type(self).__name__} got an unexpected or second value for {', '.join(named)}"
                )
            if hasattr(self, "__post_init__"):
                self.__post_init__()

        return __init__

    def _default(self, one):
        if one.default is not MISSING:
            return one.default
        if one.default_factory is MISSING:
            raise TypeError(f"{type(self).__name__} needs a value for {one.name}")
        return one.default_factory()

    def _values(self):
        return tuple(getattr(self, name) for name in self.__dataclass_fields__)

    def _restore(self, values):
        for name, value in zip(self.__dataclass_fields__, values, strict=True):
            object.__setattr__(self, name, value)

    def _repr(self):
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__dataclass_fields__)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def _eq(self, other):
        return _values(self) == _values(other) if type(other) is type(self) else NotImplemented

    def _hash(self):
        return hash(_values(self))

    def _refuse(self, name, *_value):
        raise FrozenInstanceError(f"{type(self).__name__} is frozen: {name} cannot be changed")
