"""API keys of one's own: several at once, changed under load, and what a Secret that goes does not break."""

import base64
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import LONGEST, Endpoint, Namespace, authority, instance, until
from tests.e2e.load import under_load

REFRESH = 90
"""Seconds within which a changed Secret holds: the kubelet brings it to the pods, the web-proxy reads it."""
ALONE = 120
"""Seconds that a kubelet takes by itself: the operator hands on no Secret without a key."""
LATER = 45
"""Seconds within which a Secret that nobody watches is looked at again."""


def ring(**keys: str) -> dict[str, Any]:
    """A Secret with these keys; ``_`` stands for ``-`` in their names."""
    named = {name.replace("_", "-"): base64.b64encode(key.encode()).decode() for name, key in keys.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ring"}, "data": named}


@pytest.fixture
def keyed(namespace: Namespace) -> Iterator[Endpoint]:
    """An instance with two web-proxies and two keys."""
    limit = {"requestsPerMinute": 1, "burstSize": 20}
    endpoint = Endpoint(namespace, "keyed")
    web_endpoint = {"enabled": True, "replicas": 2, "authSecretRef": "ring", "rateLimit": limit}
    namespace.apply(ring(api_key="sk-one", api_key_alice="sk-alice"), instance("keyed", webEndpoint=web_endpoint))
    until(lambda: len(pods(endpoint)) == 2, within=120)
    yield endpoint.serves()
    namespace.delete("instance", "keyed")
    namespace.delete("secret", "ring")
    until(lambda: not namespace.list("pods", "-l", f"sympozium.ai/run={endpoint.run}"), within=60)


def pods(endpoint: Endpoint) -> dict[str, str]:
    """The uids of the web-proxy's pods that are ready, and their addresses."""
    return {
        pod["metadata"]["uid"]: f"http://{authority(pod['status']['podIP'], 8080)}"
        for pod in endpoint.namespace.list("pods", "-l", f"sympozium.ai/run={endpoint.run}")
        if {"type": "Ready", "status": "True"}.items()
        <= next((c for c in pod["status"].get("conditions", []) if c["type"] == "Ready"), {}).items()
    }


def statuses(endpoint: Endpoint, key: str) -> set[int]:
    """Return the statuses that the pods answer to this key."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx2.Client(headers=headers, timeout=LONGEST) as http:
        return {http.get(f"{address}/v1/models").status_code for address in pods(endpoint).values()}


def accepted(endpoint: Endpoint) -> tuple[str, str]:
    found = endpoint.namespace.status("instance", endpoint.instance)["conditions"]
    return next((c["status"], c["reason"]) for c in found if c["type"] == "Accepted")


def ask(endpoint: Endpoint, key: str) -> httpx2.Response:
    body = {"messages": [{"role": "user", "content": "hello"}]}
    headers = {"Authorization": f"Bearer {key}"}
    return httpx2.post(f"{endpoint.url}/v1/chat/completions", json=body, headers=headers, timeout=LONGEST)


def test_a_key_is_replaced_under_load_without_one_failed_request(keyed: Endpoint) -> None:
    before = pods(keyed)
    assert statuses(keyed, "sk-one") == statuses(keyed, "sk-alice") == {200}
    with under_load(keyed, "sk-one", chats=False) as load:
        keyed.namespace.apply(ring(api_key="sk-one", api_key_alice="sk-alice", api_key_2="sk-two"))
        until(lambda: statuses(keyed, "sk-two") == {200}, within=REFRESH)
        load.key = "sk-two"
        changed = load.answers.copy()
        until(lambda: all(load.answers[kind] > changed[kind] + 1 for kind in changed), within=10)
        keyed.namespace.apply(ring(api_key_alice="sk-alice", api_key_2="sk-two"))
        until(lambda: statuses(keyed, "sk-one") == {401}, within=REFRESH)
        assert statuses(keyed, "sk-alice") == {200}
    assert load.failures == []
    assert len(load.answers) == 2
    until(lambda: pods(keyed) == before, within=10)  # a busy one may be unready for a moment


def test_a_keys_name_and_never_the_key_stands_in_runs_and_logs(keyed: Endpoint) -> None:
    answer = ask(keyed, "sk-alice")
    run = keyed.namespace.get("run", answer.headers["x-sympozium-run"])
    assert run["metadata"]["annotations"]["sympozium.ai/key-id"] == "api-key-alice"
    logs = keyed.namespace.kubectl("logs", "-l", f"sympozium.ai/run={keyed.run}", "--tail=-1", "--prefix")
    assert '"key_id": "api-key-alice"' in logs
    assert "sk-alice" not in logs + str(run)


def test_each_key_has_a_limit_of_its_own_in_all_replicas(keyed: Endpoint) -> None:
    limit = {"requestsPerMinute": 1, "burstSize": 1}
    keyed.namespace.patch("instance", "keyed", {"spec": {"webEndpoint": {"rateLimit": limit}}})
    until(lambda: ask(keyed, "sk-alice").status_code == 429, within=30)
    body = {"messages": [{"role": "user", "content": "hello"}]}
    for address in pods(keyed).values():
        headers = {"Authorization": "Bearer sk-alice"}
        until(
            lambda address=address, headers=headers: (  # type: ignore[misc]
                httpx2.post(f"{address}/v1/chat/completions", json=body, headers=headers, timeout=LONGEST).status_code
                == 429
            ),
            within=30,
        )
    assert ask(keyed, "sk-one").status_code == 200


def test_a_secret_that_goes_is_told_and_its_keys_stay_valid(keyed: Endpoint) -> None:
    before = pods(keyed)
    keyed.namespace.delete("secret", "ring")
    until(lambda: accepted(keyed) == ("False", "AuthSecretNotFound"), within=LATER)
    assert statuses(keyed, "sk-one") == {200}

    keyed.namespace.apply(ring(other="x"))
    until(lambda: accepted(keyed) == ("False", "AuthSecretKeyNotFound"), within=15)
    until(lambda: statuses(keyed, "sk-one") == {401}, within=ALONE)
    assert statuses(keyed, "sk-none") == {401}

    keyed.namespace.apply(ring(api_key="sk-three"))
    until(lambda: accepted(keyed) == ("True", "Accepted"), within=15)
    until(lambda: statuses(keyed, "sk-three") == {200}, within=REFRESH)
    until(lambda: pods(keyed) == before, within=10)


def test_another_secret_that_is_not_there_changes_nothing_until_it_is(keyed: Endpoint) -> None:
    before = pods(keyed)
    keyed.namespace.patch("instance", "keyed", {"spec": {"webEndpoint": {"authSecretRef": "later"}}})
    until(lambda: accepted(keyed) == ("False", "AuthSecretNotFound"), within=15)
    status = keyed.namespace.status("instance", "keyed")
    assert status["webEndpoint"]["authSecretName"] == "ring"
    until(lambda: (pods(keyed), statuses(keyed, "sk-one")) == (before, {200}), within=10)

    later = ring(api_key="sk-later") | {"metadata": {"name": "later"}}
    keyed.namespace.apply(later)
    try:
        until(lambda: not pods(keyed).keys() & before.keys() and len(pods(keyed)) == 2, within=90)
        assert statuses(keyed, "sk-later") == {200}
        assert keyed.namespace.status("instance", "keyed")["webEndpoint"]["authSecretName"] == "later"
    finally:
        keyed.namespace.delete("secret", "later")
