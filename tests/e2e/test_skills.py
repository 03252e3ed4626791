"""Skills of an instance: its agents are told them, and a change holds from the next request on."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from tests.contract.documents import ROOT
from tests.e2e.conftest import Endpoint, Namespace, Object, agent_run, instance, until

WITHIN = 15
"""Seconds until a change holds: packs are watched, ConfigMaps are looked at every five."""
KEPT = "skilled-installed-skills"
WEB: Object = {"skillPackRef": "web-endpoint"}
PACK: Object = {"skillPackRef": "data", "params": {"db": "logs"}}
MAP: Object = {"configMapRef": "manners"}


def pack(content: str, name: str = "data", **spec: Any) -> Object:
    skill = {"name": "sql", "description": "For questions about data.", "content": content}
    parameters = [{"name": "db", "default": "main"}, {"name": "region"}]
    return {
        "apiVersion": "sympozium.ai/v1alpha1",
        "kind": "SkillPack",
        "metadata": {"name": name},
        "spec": {"skills": [skill], "parameters": parameters} | spec,
    }


def manners(text: str) -> Object:
    data = {"style.md": f"---\ndescription: Always.\n---\n{text}"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "manners"}, "data": data}


SQL = "# Skill: sql\n\nFor questions about data.\n\nAsk logs in {{region}}."
STYLE = "# Skill: style\n\nAlways.\n\nBe kind."


@pytest.fixture(scope="module")
def served(namespace: Namespace) -> Iterator[Endpoint]:
    limit = {"requestsPerMinute": 60_000, "burstSize": 1000}
    prompt = {"systemPrompt": "You are a test."}
    spec: Object = {"webEndpoint": {"rateLimit": limit}, "memory": prompt, "skills": [WEB]}
    namespace.apply(instance("skilled", model="echo", **spec))
    endpoint = Endpoint(namespace, "skilled").serves()
    yield endpoint
    endpoint.close()
    namespace.delete("instance", "skilled")


@pytest.fixture
def skilled(served: Endpoint) -> Iterator[Endpoint]:
    """An instance whose agents know a skill of a pack and one of a ConfigMap."""
    served.namespace.apply(pack("Ask {{db}} in {{region}}."), manners("Be kind."))
    knows(served, PACK, MAP)
    accepted(served, "True")
    yield served
    knows(served)
    until(lambda: not kept(served), within=WITHIN)
    for kind, name in (("skillpack", "data"), ("configmap", "manners")):
        served.namespace.delete(kind, name)


def knows(endpoint: Endpoint, *refs: Object) -> None:
    endpoint.namespace.patch("instance", endpoint.instance, {"spec": {"skills": [WEB, *refs]}})


def kept(endpoint: Endpoint) -> str:
    return endpoint.namespace.kubectl("get", "configmap", KEPT, "--ignore-not-found", "-o", "jsonpath={.data}")


def accepted(endpoint: Endpoint, status: str) -> Object:
    """The condition, once it has this status for the spec as it is."""

    def look() -> Object | None:
        body = endpoint.namespace.get("instance", endpoint.instance)
        [found] = [c for c in body["status"]["conditions"] if c["type"] == "Accepted"]
        seen = found["observedGeneration"] == body["metadata"]["generation"]
        return found if seen and found["status"] == status else None

    return until(look, within=WITHIN, why=lambda: endpoint.namespace.status("instance", endpoint.instance))


def told(answer: str) -> str:
    """The system message that reached the model."""
    messages = json.loads(answer)["body"]["messages"]
    assert [message["role"] for message in messages] in (["system", "user"], ["user"])
    system: str = messages[0]["content"] if len(messages) > 1 else ""
    return system


def told_now(endpoint: Endpoint) -> str:
    answer = endpoint.chat()
    assert answer.status_code == 200, answer.text
    return told(answer.json()["choices"][0]["message"]["content"])


def becomes(endpoint: Endpoint, system: str) -> None:
    until(lambda: told_now(endpoint) == system, within=WITHIN, why=lambda: told_now(endpoint))


def pods(endpoint: Endpoint) -> list[str]:
    found = endpoint.namespace.list("pods", "-l", f"sympozium.ai/run={endpoint.run}")
    return sorted(pod["metadata"]["uid"] for pod in found)


def test_the_first_skills_reach_the_model_without_another_web_proxy_and_go_again(served: Endpoint) -> None:
    before = pods(served)
    assert told_now(served) == "You are a test."
    served.namespace.apply(pack("Ask {{db}} in {{region}}."), manners("Be kind."))
    knows(served, PACK, MAP)
    becomes(served, f"You are a test.\n\n{SQL}\n\n{STYLE}")
    knows(served)
    becomes(served, "You are a test.")
    until(lambda: not kept(served), within=WITHIN)
    assert pods(served) == before


def test_a_changed_pack_and_a_changed_config_map_hold_for_the_next_request(skilled: Endpoint) -> None:
    skilled.namespace.apply(pack("Count."))
    becomes(skilled, f"You are a test.\n\n# Skill: sql\n\nFor questions about data.\n\nCount.\n\n{STYLE}")
    skilled.namespace.apply(pack("Ask {{db}} in {{region}}."), manners("Be brief."))
    becomes(skilled, f"You are a test.\n\n{SQL}\n\n# Skill: style\n\nAlways.\n\nBe brief.")


def test_the_kept_skills_are_the_instances_own_and_come_back(skilled: Endpoint) -> None:
    before = kept(skilled)
    [owner] = skilled.namespace.get("configmap", KEPT)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("SympoziumInstance", "skilled")
    skilled.namespace.delete("configmap", KEPT)
    until(lambda: kept(skilled) == before, within=10)
    skilled.namespace.patch("configmap", KEPT, {"data": {"skills.json": "[]"}})
    until(lambda: kept(skilled) == before, within=10)


def test_what_is_missing_is_named_and_what_was_known_goes_on(skilled: Endpoint) -> None:
    skilled.namespace.delete("skillpack", "data")
    found = accepted(skilled, "False")
    assert found["reason"] == "SkillPackNotFound"
    assert found["message"].startswith("spec.skills[1].skillPackRef: there is no SkillPack data")
    assert told_now(skilled) == f"You are a test.\n\n{SQL}\n\n{STYLE}"
    skilled.namespace.apply(pack("Ask {{db}} in {{region}}."))
    accepted(skilled, "True")
    skilled.namespace.delete("configmap", "manners")
    found = accepted(skilled, "False")
    assert found["reason"] == "ConfigMapNotFound"
    assert found["message"] == "spec.skills[2].configMapRef: there is no ConfigMap manners"
    assert told_now(skilled) == f"You are a test.\n\n{SQL}\n\n{STYLE}"


@pytest.mark.parametrize(
    ("refs", "message"),
    [
        ([PACK | {"params": {"color": "red"}}], "spec.skills[1].params.color: unknown; known are db, region"),
        ([PACK, PACK], "spec.skills[2] (data) and spec.skills[1] (data) both have a skill sql; rename one of them"),
        (
            [{"skillPackRef": "sidecar"}],
            "spec.skills[1].skillPackRef: the SkillPack sidecar cannot be used: it has a sidecar",
        ),
    ],
    ids=["unknown param", "same name", "sidecar"],
)
def test_what_is_wrong_is_named_and_what_was_known_goes_on(skilled: Endpoint, refs: list[Object], message: str) -> None:
    skilled.namespace.apply(pack("x", "sidecar", sidecar={"image": "example.com/x"}))
    before = kept(skilled)
    knows(skilled, *refs)
    found = accepted(skilled, "False")
    assert found["reason"] == "InvalidSpec"
    assert found["message"].startswith(message)
    assert kept(skilled) == before
    until(lambda: skilled.namespace.status("skillpack", "sidecar").get("phase") == "Error", within=WITHIN)
    skilled.namespace.delete("skillpack", "sidecar")


@pytest.mark.alone
def test_a_pack_of_the_installation_is_copied(skilled: Endpoint, system: Namespace) -> None:
    system.apply(pack("Built in.", "e2e-built-in"))
    try:
        knows(skilled, {"skillPackRef": "e2e-built-in"})
        becomes(skilled, "You are a test.\n\n# Skill: sql\n\nFor questions about data.\n\nBuilt in.")
        system.apply(pack("Changed.", "e2e-built-in"))
        becomes(skilled, "You are a test.\n\n# Skill: sql\n\nFor questions about data.\n\nChanged.")
    finally:
        system.delete("skillpack", "e2e-built-in")


def test_the_guide_begins_with_an_agent_that_can_be_served(namespace: Namespace) -> None:
    [commands] = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/guides/skills.md").read_text(), re.DOTALL)
    _, *words = shlex.split(commands)
    namespace.kubectl(*words)
    until(
        lambda: namespace.kubectl("get", "configmap", "analyst-installed-skills", "--ignore-not-found"), within=WITHIN
    )
    told = namespace.get("configmap", "analyst-installed-skills")["data"]["skills.json"]
    assert [skill["name"] for skill in json.loads(told)] == ["sales-report", "outage-report", "tone"]
    namespace.kubectl("delete", *words[1:], "--wait=false")


def test_runs_made_with_kubectl_have_the_skills_of_their_instance(namespace: Namespace) -> None:
    """One whose skills never were there has no run without them; no run has skills of its own."""
    namespace.apply(
        instance("studious", model="echo", skills=[MAP]), agent_run("too-early", agentRef="studious", task="x")
    )
    ended = namespace.run_ends("too-early")
    assert ended["error"]["type"] == "skills_missing"
    assert ended["error"]["message"] == "spec.skills[0].configMapRef: there is no ConfigMap manners."
    namespace.apply(manners("Be kind."))
    until(lambda: namespace.status("instance", "studious").get("phase") == "Running", within=WITHIN)
    namespace.apply(
        agent_run("learned", agentRef="studious", task="x"),
        agent_run("learned-otherwise", agentRef="studious", task="x", systemPrompt="Another."),
        agent_run("learns-itself", agentRef="studious", task="x", skills=[MAP]),
    )
    assert told(namespace.run_ends("learned")["result"]) == STYLE
    assert told(namespace.run_ends("learned-otherwise")["result"]) == f"Another.\n\n{STYLE}"
    assert namespace.run_ends("learns-itself")["error"]["type"] == "unsupported_parameter"
    namespace.delete("instance", "studious")
    namespace.delete("configmap", "manners")
