"""The agent's dataclasses behave as those of the standard library do, as far as they go."""

import dataclasses
from typing import Any

import pytest

from sympozium_api import values


def kinds(module: Any) -> tuple[type, type]:
    @module.dataclass(frozen=True)
    class Point:
        x: int
        y: int = 2
        tags: tuple[str, ...] = ()

    @module.dataclass
    class Basket:
        name: str
        content: list[int] = module.field(default_factory=list)

    return Point, Basket


POINT, BASKET = kinds(values)
THEIR_POINT, THEIR_BASKET = kinds(dataclasses)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1,), {}),
        ((1, 3), {}),
        ((), {"x": 1}),
        ((1,), {"y": 5, "tags": ("a",)}),
        ((), {}),
        ((1, 2, (), 4), {}),
        ((1,), {"x": 1}),
        ((1,), {"z": 1}),
        ((), {"y": 1}),
    ],
)
def test_fields_are_given_by_place_by_name_or_not_at_all(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    try:
        expected = vars(THEIR_POINT(*args, **kwargs))
    except TypeError:
        with pytest.raises(TypeError):
            POINT(*args, **kwargs)
    else:
        assert vars(POINT(*args, **kwargs)) == expected


def test_values_with_equal_fields_are_equal() -> None:
    assert POINT(1) == POINT(1, 2)
    assert POINT(1) != POINT(1, 3)
    assert POINT(1) != THEIR_POINT(1)
    assert hash(POINT(1)) == hash(POINT(1))
    with pytest.raises(TypeError):
        hash(BASKET("a"))


def test_a_frozen_value_does_not_change() -> None:
    with pytest.raises(AttributeError):
        POINT(1).x = 2
    basket = BASKET("a")
    basket.name = "b"
    assert basket.name == "b"


def test_each_value_has_a_default_of_its_own() -> None:
    first, second = BASKET("a"), BASKET("a")
    first.content.append(1)
    assert second.content == []
    assert BASKET("a", [3]).content == [3]


def test_a_value_is_replaced_matched_and_shown() -> None:
    assert values.replace(POINT(1), y=7) == POINT(1, 7)
    match POINT(1, 7):
        case POINT(1, y=seven):  # type: ignore[misc]
            assert seven == 7
        case _:
            pytest.fail("it did not match")
    assert repr(POINT(1)).endswith("Point(x=1, y=2, tags=())")
