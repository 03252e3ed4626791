"""When a live object counts as changed."""

from typing import Any

import pytest

from sympozium_operator.desired.drift import has_drifted, with_applied_digest
from sympozium_operator.desired.quantity import InvalidQuantity, quantity


@pytest.mark.parametrize(
    ("live", "desired"),
    [
        ({"a": 1, "status": {}}, {"a": 1}),
        ({"spec": {"replicas": 1, "paused": False}}, {"spec": {"replicas": 1}}),
        ({"env": [{"name": "B"}, {"name": "A", "value": "1", "extra": 0}]}, {"env": [{"name": "A", "value": "1"}]}),
        ({"env": [{"name": "A"}]}, {"env": [{"name": "A", "value": ""}]}),
        ({"requests": {"cpu": "1", "memory": "64Mi"}}, {"requests": {"cpu": "1000m", "memory": "65536Ki"}}),
        ({"requests": {"cpu": "20m"}}, {"requests": {"cpu": 0.02}}),
        ({}, {"labels": {}}),
        ({}, {"volumes": []}),
    ],
)
def test_defaults_order_and_spelling_are_no_difference(live: Any, desired: Any) -> None:
    assert not has_drifted(live, desired)


@pytest.mark.parametrize(
    ("live", "desired"),
    [
        ({}, {"a": 1}),
        ({"a": 2}, {"a": 1}),
        ({}, {"automountServiceAccountToken": False}),
        ({"automountServiceAccountToken": True}, {"automountServiceAccountToken": False}),
        ({"env": [{"name": "A", "value": "2"}]}, {"env": [{"name": "A", "value": "1"}]}),
        ({"command": ["a", "b"]}, {"command": ["a"]}),
        ({"command": ["b", "a"]}, {"command": ["a", "b"]}),
        ({"rules": [{"verbs": ["get"]}, {"verbs": ["delete"]}]}, {"rules": [{"verbs": ["get"]}]}),
        ({"verbs": ["get", "delete"]}, {"verbs": ["get"]}),
        ({"requests": {"cpu": "2"}}, {"requests": {"cpu": "1"}}),
        ({"labels": None}, {"labels": {"a": "b"}}),
        ({"selector": {"a": "b", "c": "d"}}, {"selector": {"a": "b"}}),
    ],
)
def test_what_is_missing_or_other_is_a_difference(live: Any, desired: Any) -> None:
    assert has_drifted(live, desired)


def test_a_field_that_is_no_longer_desired_is_a_difference() -> None:
    before = {"metadata": {"name": "x"}, "spec": {"env": [{"name": "A"}, {"name": "B"}]}}
    after = {"metadata": {"name": "x"}, "spec": {"env": [{"name": "A"}]}}
    assert not has_drifted(before, after)
    assert has_drifted(with_applied_digest(before), with_applied_digest(after))
    assert not has_drifted(with_applied_digest(after), with_applied_digest(after))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", "0"),
        ("50m", "0.05"),
        ("1.5", "1.5"),
        ("64Mi", "67108864"),
        ("1k", "1000"),
        ("2E", "2e18"),
        ("1e3", "1000"),
    ],
)
def test_quantities_are_numbers(text: str, number: str) -> None:
    assert float(quantity(text)) == float(number)


@pytest.mark.parametrize("text", ["", "m", "much", "1 Gi", "1KiB", "-"])
def test_other_texts_are_no_quantities(text: str) -> None:
    with pytest.raises(InvalidQuantity):
        quantity(text)
