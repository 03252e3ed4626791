"""Dataclasses for what the agent imports: the same as ``dataclasses``, whose import costs a process half of its start.

Type checkers see the originals. At run time there is what the agent uses of them: positional and named fields, defaults,
``frozen``, ``eq`` and ``replace``. Pure; standard library only, because the agent imports this module.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass, field, replace
    from typing import Any
else:

    class _Factory:
        """Factory of a default: each value gets its own."""

        __slots__ = ("make",)

        def __init__(self, make: Callable[[], Any]) -> None:
            self.make = make

    def field(*, default_factory: Callable[[], Any]) -> Any:
        """Return the default of a field that ``default_factory`` makes for each value."""
        return _Factory(default_factory)

    def replace(value: Any, /, **fields: Any) -> Any:
        """Return a copy of a value with other fields."""
        return type(value)(**(vars(value) | fields))

    def dataclass(cls: type | None = None, /, *, frozen: bool = False, eq: bool = True) -> Any:
        """Add ``__init__``, ``__repr__`` and, where asked for, ``__eq__`` and immutability to a class with annotated fields."""
        if cls is None:
            return lambda decorated: dataclass(decorated, frozen=frozen, eq=eq)
        names = tuple(cls.__annotations__)
        defaults = {name: vars(cls)[name] for name in names if name in vars(cls)}
        factories = {name: value.make for name, value in defaults.items() if isinstance(value, _Factory)}
        cls.__match_args__ = names
        cls.__init__ = _initializer(cls.__name__, names, defaults, factories)
        cls.__repr__ = _represent
        if frozen:
            cls.__setattr__ = cls.__delattr__ = _refuse
        if eq:
            cls.__eq__ = _equals
            cls.__hash__ = _hash if frozen else None
        return cls

    def _initializer(
        kind: str, names: tuple[str, ...], defaults: dict[str, Any], factories: dict[str, Callable[[], Any]]
    ) -> Callable[..., None]:
        known = frozenset(names)

        def initialize(self: Any, *args: Any, **kwargs: Any) -> None:
            positional = dict(zip(names, args, strict=False))
            fields = defaults | positional | kwargs
            if len(args) > len(names) or fields.keys() != known or positional.keys() & kwargs.keys():
                raise TypeError(f"{kind}() takes each of {', '.join(names)} once")
            for name, make in factories.items():
                if fields[name] is defaults[name]:
                    fields[name] = make()
            vars(self).update((name, fields[name]) for name in names)

        return initialize

    def _represent(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def _equals(self: Any, other: object) -> Any:
        return vars(self) == vars(other) if type(self) is type(other) else NotImplemented

    def _hash(self: Any) -> int:
        return hash(tuple(vars(self).values()))

    def _refuse(self: Any, name: str, *_: Any) -> None:
        raise AttributeError(f"the fields of {type(self).__name__} do not change: {name}")


__all__ = ["dataclass", "field", "replace"]
