"""Callers of the management API on a cluster: service accounts with their own rights, and API keys, as the guide has them."""

import json
import os
import re
import subprocess
from collections.abc import Iterator

import pytest
from tests.contract.documents import ROOT
from tests.e2e.conftest import Namespace, Object, Refused, agent_run, until
from tests.e2e.consoles import Console, console

__all__ = ["console"]

ACCOUNT = "pipeline"
AUDIENCE = "sympozium-console"
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/guides/callers.md").read_text(), re.DOTALL)


def by_the_guide(console: Console, mark: str, without: str = "^$", **variables: str) -> str:
    """What the guide's block with this mark prints, in the console's namespace and for its agent; lines ``without`` are left out."""
    [block] = [block for block in BLOCKS if mark in block]
    block = re.sub(rf"^.*({without}).*\n", "", block, flags=re.MULTILINE)
    for word, here in (("http://127.0.0.1:8090", console.url), ("helper", "quiet"), ('"demo"', '"quiet"')):
        block = block.replace(word, here)
    block = re.sub(r"(-n |namespace=|serviceaccount=)(team|default)", rf"\1{console.namespace}", block)
    environ = os.environ | variables
    return subprocess.check_output(["bash", "-euo", "pipefail", "-c", block], env=environ, text=True, timeout=300)


def answers(printed: str) -> list[Object]:
    """The JSON objects that commands printed one after the other."""
    decoder, found, at = json.JSONDecoder(), list[Object](), printed.find("{")
    while at >= 0:
        answer, end = decoder.raw_decode(printed, at)
        found.append(answer)
        at = printed.find("{", end)
    return found


@pytest.fixture(scope="module")
def account(console: Console) -> str:
    """The guide's service account, which may start, see and cancel the runs of its namespace."""
    by_the_guide(console, "create serviceaccount", without="create namespace|port-forward|curl|export TOKEN")
    return ACCOUNT


@pytest.fixture(scope="module")
def pipeline(system: Namespace, namespace: Namespace, account: str) -> Iterator[Console]:
    """The console, asked with a token of the account."""
    found = Console(system, namespace.name)
    token = namespace.kubectl("create", "token", account, "--audience", AUDIENCE, "--duration", "10m")
    found.http.headers["Authorization"] = f"Bearer {token.strip()}"
    until(
        lambda: found.asks("GET", "runs").status_code == 200, within=10
    )  # API servers know a new RoleBinding a moment later
    yield found
    found.http.close()


def test_a_service_account_starts_follows_and_finds_runs_of_its_namespace_alone(
    pipeline: Console, namespace: Namespace
) -> None:
    started = pipeline.asks("POST", "runs", json={"agentRef": "quiet", "task": "hello"})
    assert started.status_code == 201, started.text
    name = started.json()["metadata"]["name"]
    assert started.json()["spec"]["caller"]["user"] == f"system:serviceaccount:{namespace.name}:{ACCOUNT}"
    assert list(pipeline.follow(name))[-1][1]["phase"] == "Succeeded"
    until(lambda: name in str(pipeline.get("runs", order="newest")), within=10)
    for query in ({"namespace": ""}, {"namespace": "", "order": "newest"}):
        items = pipeline.get("runs", **query)["items"]
        spaces = {item.get("namespace") or item["metadata"]["namespace"] for item in items}
        assert spaces == {namespace.name}


def test_the_commands_of_the_guide_start_follow_and_find_a_run(pipeline: Console, console: Console) -> None:
    token = pipeline.http.headers["Authorization"].removeprefix("Bearer ")
    printed = by_the_guide(pipeline, "run() {", TOKEN=token)
    events, _, newest = printed.rpartition("\n")
    assert '"phase":"Succeeded"' in events.replace(" ", "")
    assert "event: delta" in events
    [page] = answers(newest)
    run = page["items"][0]
    assert run["name"].startswith("quiet-")
    assert (run["namespace"], run["user"]) == (
        pipeline.namespace,
        f"system:serviceaccount:{pipeline.namespace}:{ACCOUNT}",
    )

    admin = console.http.headers["Authorization"].removeprefix("Bearer ")
    [key] = answers(by_the_guide(console, '"expires_in": 3600', without="export ADMIN", ADMIN=admin))
    variables = {"ADMIN": admin, "ID": key["id"], "KEY": key["key"]}
    started, found = answers(by_the_guide(console, "export ID=", without="export ID", **variables))
    assert (started["status"]["phase"], started["spec"]["caller"]["user"]) == ("Succeeded", "ada")
    assert {item["user"] for item in found["items"]} == {"ada"}


def test_what_the_account_may_not_do_is_refused_by_verb_kind_and_namespace(pipeline: Console) -> None:
    refused_calls = (("DELETE", "runs/absent", "delete"), ("GET", "instances", "list"), ("GET", "audit", "list"))
    for method, path, verb in refused_calls:
        message = pipeline.refuses(403, method, path)["message"]
        assert f"may not {verb} " in message
        assert f"in namespace {pipeline.namespace}" in message
    refused = pipeline.asks("GET", "runs", query={"namespace": "default"})
    assert refused.status_code == 403


def test_a_token_for_another_audience_is_refused(system: Namespace, namespace: Namespace, account: str) -> None:
    found = Console(system, namespace.name)
    for audience in (("--audience", "sympozium-runs"), ()):
        token = namespace.kubectl("create", "token", account, *audience)
        found.http.headers["Authorization"] = f"Bearer {token.strip()}"
        assert found.asks("GET", "runs").status_code == 401
    found.http.close()


def test_an_api_key_is_valid_until_it_is_revoked(console: Console, system: Namespace, namespace: Namespace) -> None:
    wish = {"name": "e2e", "user": "ada", "scopes": ["operator.write"], "expires_in": 600}
    made = console.asks("POST", "api-keys", json=wish)
    assert made.status_code == 201, made.text
    key = made.json()
    holder = Console(system, namespace.name)
    holder.http.headers["Authorization"] = f"Bearer {key['key']}"
    namespace.apply(agent_run("of-a-key", agentRef="quiet", task="hello"))
    assert holder.asks("GET", "runs/of-a-key").status_code == 200
    started = holder.asks("POST", "runs", json={"agentRef": "quiet", "task": "hello"}, headers={"Prefer": "wait=60"})
    assert started.is_success, started.text
    assert started.json()["spec"]["caller"]["user"] == "ada"
    assert holder.asks("GET", "runs", query={"namespace": "default"}).status_code == 403
    columns = namespace.kubectl("get", "apikeys", "--no-headers")
    assert key["prefix"] in columns
    assert key["key"] not in namespace.kubectl("get", "apikeys", "-o", "yaml")
    assert console.asks("DELETE", f"api-keys/{key['id']}").status_code == 204
    until(lambda: holder.asks("GET", "runs").status_code == 401, within=5)
    holder.http.close()


def test_an_api_key_object_is_immutable_and_stays_revoked(console: Console, namespace: Namespace) -> None:
    wish = {"name": "fixed", "user": "ada", "scopes": ["operator.read"]}
    key = console.asks("POST", "api-keys", json=wish).json()
    [found] = namespace.list("apikeys", "-l", f"sympozium.ai/id={key['id']}")
    name = found["metadata"]["name"]
    with pytest.raises(Refused, match="immutable"):
        namespace.patch("apikey", name, {"spec": {"scopes": ["operator.admin"]}})
    namespace.patch("apikey", name, {"spec": {"revoked": True}})
    with pytest.raises(Refused, match="revoked cannot be set back"):
        namespace.patch("apikey", name, {"spec": {"revoked": False}})
