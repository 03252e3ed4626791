"""Condition ModelReachable: what the web-proxy found out reaches the instance, and stops nobody."""

from collections.abc import Iterator

import pytest
from tests.e2e.conftest import Endpoint, Namespace, Object, instance, until


@pytest.fixture
def probed(namespace: Namespace) -> Iterator[Endpoint]:
    namespace.apply(instance("probed", base_url="http://absent.models.invalid:8000/v1", webEndpoint={"enabled": True}))
    endpoint = Endpoint(namespace, "probed")
    yield endpoint.serves()
    endpoint.close()
    namespace.delete("instance", "probed")


def reachable(endpoint: Endpoint, reason: str) -> Object:
    def look() -> Object | None:
        conditions: list[Object] = endpoint.namespace.status("instance", endpoint.instance).get("conditions", [])
        found = [c for c in conditions if c["type"] == "ModelReachable" and c["reason"] == reason]
        return found[0] if found else None

    return until(look, within=40, why=lambda: endpoint.namespace.status("instance", endpoint.instance))


def test_a_model_that_cannot_be_reached_is_told_and_another_address_is_checked_at_once(probed: Endpoint) -> None:
    found = reachable(probed, "NameNotFound")
    assert found["status"] == "False"
    assert "http://absent.models.invalid:8000/v1: name not found" in found["message"]
    status = probed.namespace.status("instance", "probed")
    assert status["phase"] == "Serving"
    assert [c["status"] for c in status["conditions"] if c["type"] == "Ready"] == ["True"]
    assert "NameNotFound" in probed.namespace.kubectl("describe", "instance", "probed")

    agent = {"baseURL": "http://model:8080/v1"}
    probed.namespace.patch("instance", "probed", {"spec": {"agents": {"default": agent}}})
    assert reachable(probed, "Answered")["status"] == "True"

    agent = {"model": "gpt-nope"}
    probed.namespace.patch("instance", "probed", {"spec": {"agents": {"default": agent}}})
    assert reachable(probed, "ModelNotListed")["status"] == "True"
