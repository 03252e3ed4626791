"""A web-proxy knows its instance's skills as they are now."""

import pytest
from tests.fakes.agents import Agents
from tests.fakes.model import Model
from tests.integration.conftest import KEY, Proxy, eventually

from sympozium_api import installed_skills
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.resources import CONFIG_MAPS, Object

NAME = "demo-installed-skills"
SKILLS = {"skills": [{"skillPackRef": "web-endpoint"}, {"configMapRef": "notes"}]}


def installed(*contents: str, name: str = NAME) -> Object:
    known = [InstalledSkill(name=f"s{index}", content=content) for index, content in enumerate(contents)]
    metadata = {"name": name, "namespace": "default"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {installed_skills.DOCUMENT: installed_skills.render(known)},
    }


def known(proxy: Proxy) -> list[str]:
    return [skill.content for skill in proxy.context.instance_cache.served().skills]


async def test_skills_come_change_and_go_without_a_restart(proxy: Proxy) -> None:
    proxy.kubernetes.put(installed("No.", name="another-installed-skills"))
    assert known(proxy) == []
    proxy.kubernetes.put(installed("Be kind."))
    await eventually(lambda: known(proxy) == ["Be kind."])
    proxy.kubernetes.put(installed("Be brief.", "Be kind."))
    await eventually(lambda: known(proxy) == ["Be brief.", "Be kind."])
    proxy.kubernetes.remove(CONFIG_MAPS, NAME)
    await eventually(lambda: known(proxy) == [])


async def test_what_cannot_be_read_leaves_what_there_was(proxy: Proxy) -> None:
    proxy.kubernetes.put(installed("Be kind."))
    await eventually(lambda: known(proxy) == ["Be kind."])
    proxy.kubernetes.put(installed() | {"data": {installed_skills.DOCUMENT: "nonsense", "seen": "yes"}})
    proxy.kubernetes.put(installed("Be brief."))
    await eventually(lambda: known(proxy) == ["Be brief."])


async def test_a_change_that_no_watch_saw_is_found_in_the_next_list(proxy: Proxy) -> None:
    proxy.kubernetes.put(installed("Be kind."))
    await eventually(lambda: known(proxy) == ["Be kind."])
    proxy.kubernetes.expire_watches()
    proxy.kubernetes.remove(CONFIG_MAPS, NAME)
    await eventually(lambda: known(proxy) == [])


async def test_another_limit_leaves_the_skills_as_they_are(proxy: Proxy, model: Model) -> None:
    proxy.kubernetes.put(installed("Be kind."))
    await eventually(lambda: known(proxy) == ["Be kind."])
    await proxy.use_model(model, "echo")
    assert known(proxy) == ["Be kind."]


async def test_a_caller_is_answered_by_an_agent_that_knows_them(proxy: Proxy, model: Model, agents: Agents) -> None:
    proxy.kubernetes.put(installed("Be kind."))
    await proxy.use_model(model, "echo", **SKILLS)
    assert (await proxy.chat()).status_code == 200
    assert model.last["body"].startswith('{"messages":[{"role":"system","content":"# Skill: s0')


@pytest.mark.parametrize("stream", [False, True])
async def test_a_bare_prompt_is_not_continued_by_an_instance_with_skills(proxy: Proxy, *, stream: bool) -> None:
    proxy.kubernetes.put(installed("Be kind."))
    await eventually(lambda: known(proxy) == ["Be kind."])
    body = {"prompt": "Once", "stream": stream}
    answer = await proxy.http.post("/v1/completions", json=body, headers={"Authorization": f"Bearer {KEY}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_parameter")
