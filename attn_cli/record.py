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
    from dataclasses import _FIELD, MISSING, Field, FrozenInstanceError, InitVar, field
    from types import UnionType
    from typing import ClassVar

    def record(*, frozen, slots=False, eq=True, kw_only=False):
        """A class decorator that takes annotated fields, like `dataclasses.dataclass`."""
        assert frozen, "records are frozen"

        def made(cls):
            defaults = _defaults(cls)
            names = tuple(defaults)
            shared = {
                "__init__": _init(defaults, getattr(cls, "__post_init__", None), kw_only=kw_only),
                "__repr__": _repr,
                "__setattr__": _refuse,
                "__delattr__": _refuse,
            }
            if eq:
                shared |= {"__eq__": _eq, "__hash__": _hash}
            members = {name: member for name, member in shared.items() if name not in vars(cls)}
            members["__dataclass_fields__"] = _Fields(defaults, cls.__annotations__, kw_only=kw_only)
            members["_record_names"] = names
            if not slots:
                for name, member in members.items():
                    setattr(cls, name, member)
                return cls
            left_out = {*names, *_OF_A_DICT}
            own = {name: member for name, member in vars(cls).items() if name not in left_out}
            state = {"__getstate__": _values, "__setstate__": _restore, "__slots__": names}
            slotted = type(cls)(cls.__name__, cls.__bases__, own | members | state)
            slotted.__qualname__ = cls.__qualname__
            return slotted

        return made

    _OF_A_DICT = ("__dict__", "__weakref__")

    def _defaults(cls):
        """The default of each field: a value, what `field` returned, or MISSING."""
        bases, own = cls.__bases__, vars(cls)
        is_alone = bases == (object,) or not any(hasattr(base, "__dataclass_fields__") for base in bases)
        assert is_alone, "no inheritance"
        defaults = {name: own.get(name, MISSING) for name in cls.__annotations__}
        for name, annotation in cls.__annotations__.items():
            assert _is_field(annotation), f"{name}: ClassVar and InitVar are not supported"
        for name, default in defaults.items():
            if default is not MISSING:
                _check_default(name, default)
                if isinstance(default, Field):
                    delattr(cls, name)
        return defaults

    _NO_FIELDS = ("typing.ClassVar", "ClassVar", "dataclasses.InitVar", "InitVar")

    def _is_field(annotation):
        """Whether it is the annotation of a field, not one that `dataclasses` treats in another way."""
        if isinstance(annotation, (type, UnionType)):  # most: to ask a class for what it lacks takes longer
            return annotation is not InitVar
        if isinstance(annotation, str):
            return not annotation.startswith(_NO_FIELDS)
        kind = getattr(annotation, "__origin__", annotation)
        return kind is not ClassVar and type(kind) is not InitVar

    def _check_default(name, default):
        """Check that the default uses no feature of `dataclasses` that records do not support."""
        if isinstance(default, Field):
            is_plain = (
                default.compare and default.repr and default.hash is None and default.kw_only is MISSING
            )
            assert is_plain, f"{name}: a field supports only default, default_factory and init"
            default = default.default
        assert default is MISSING or type(default).__hash__ is not None, f"{name}: mutable default"

    class _Fields:
        """The fields as `dataclasses` expects them, made when it asks for them: it does for few classes."""

        def __init__(self, defaults, annotations, *, kw_only):
            self._defaults, self._annotations, self._kw_only = defaults, annotations, kw_only

        def __get__(self, one, owner):
            fields = {}
            for name, default in self._defaults.items():
                fields[name] = one = default if isinstance(default, Field) else field(default=default)
                one.name, one.type = name, self._annotations[name]
                one.kw_only, one._field_type = self._kw_only, _FIELD  # noqa: SLF001
            owner.__dataclass_fields__ = fields
            return fields

    def _init(defaults, checked, *, kw_only):
        left = [name for name, default in defaults.items() if isinstance(default, Field) and not default.init]
        names = tuple(name for name in defaults if name not in left)
        positional = 0 if kw_only else len(names)

        def __init__(self, *values, **named):  # noqa: N807  it becomes the class's __init__
            if len(values) > positional:
                raise TypeError(
                    f"{type(self).__name__} takes {positional} values, but {len(values)} were given"
                )
            put = object.__setattr__
            for name, value in zip(names, values, strict=False):
                put(self, name, value)
            for name in names[len(values) :]:
                put(self, name, named.pop(name) if name in named else _default(self, name, defaults[name]))
            for name in left:
                put(self, name, _default(self, name, defaults[name]))
            if named:
                raise TypeError(
                    f"{type(self).__name__} got an unexpected or second value for {', '.join(named)}"
                )
            if checked is not None:
                checked(self)

        return __init__

    def _default(self, name, default):
        if isinstance(default, Field):
            if default.default_factory is not MISSING:
                return default.default_factory()
            default = default.default
        if default is MISSING:
            raise TypeError(f"{type(self).__name__} needs a value for {name}")
        return default

    def _values(self):
        return tuple(getattr(self, name) for name in self._record_names)

    def _restore(self, values):
        for name, value in zip(self._record_names, values, strict=True):
            object.__setattr__(self, name, value)

    def _repr(self):
        shown = (f"{name}={getattr(self, name)!r}" for name in self._record_names)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def _eq(self, other):
        return _values(self) == _values(other) if type(other) is type(self) else NotImplemented

    def _hash(self):
        return hash(_values(self))

    def _refuse(self, name, *_value):
        raise FrozenInstanceError(f"{type(self).__name__} is frozen: {name} cannot be changed")
