"""Agents at several consoles at once, and after a restore."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import FakePod
from tests.integration.conftest import eventually
from tests.integration.platform.agent_calls import created, tried, until
from tests.integration.platform.agents import publish
from tests.integration.platform.asking import ASYNC, ask
from tests.integration.platform.conftest import NAMESPACE, Platform, serving

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.client.collection import Collection
from sympozium_api.resources import CONTROLLER_REVISIONS, INSTANCES, RUNS, Object, ResourceType
from sympozium_archive.database import Database


@pytest.fixture
async def consoles(tmp_path: Path) -> AsyncIterator[list[Platform]]:
    """Three consoles in front of one API server."""
    kubernetes = FakeKubernetes()
    async with AsyncExitStack() as stack:
        found = list[Platform]()
        for number in range(3):
            folder = tmp_path / str(number)
            folder.mkdir()
            database = await Database.open_scratch(str(folder / "index.db"))
            stack.push_async_callback(database.close)
            found.append(await stack.enter_async_context(serving(folder, database, kubernetes=kubernetes)))
        yield found


async def test_publications_at_once_share_no_number(consoles: list[Platform]) -> None:
    agent = await created(consoles[0], name="Ada")
    path = f"/agents/{agent['id']}/publish"
    answers = await asyncio.gather(*(tried(consoles[n % 3], "POST", path) for n in range(9)))
    numbers = sorted(answer["version"] for answer in answers)
    assert len(set(numbers)) == 9
    assert len(consoles[0].kubernetes.names(CONTROLLER_REVISIONS)) == 9
    for console in consoles:
        newest = await tried(console, "GET", f"/agents/{agent['id']}")
        assert (newest["version"], newest["status"]) == (numbers[-1], "published")


async def test_a_key_publishes_once_at_any_console(consoles: list[Platform]) -> None:
    agent = await created(consoles[0], name="Ada")
    path, token = f"/agents/{agent['id']}/publish", await consoles[0].token()
    headers = {"Idempotency-Key": "k"}
    answers = await asyncio.gather(
        *(consoles[n % 3].request("POST", path, token=token, headers=headers) for n in range(9))
    )
    assert {(answer.status_code, answer.json()["version"]) for answer in answers} == {(200, 2)}
    await tried(consoles[1], "PUT", f"/agents/{agent['id']}", name="Eve")
    assert (await tried(consoles[1], "POST", path))["version"] == 3
    again = (await consoles[2].request("POST", path, token=token, headers=headers)).json()
    assert (again["version"], again["status"]) == (2, "published")
    assert (await consoles[2].request("POST", path, token=token, headers={"Idempotency-Key": "l"})).json()[
        "version"
    ] == 4
    assert len(consoles[0].kubernetes.names(CONTROLLER_REVISIONS)) == 3


async def test_a_key_makes_one_agent_at_any_console(consoles: list[Platform]) -> None:
    token = await consoles[0].token()
    answers = await asyncio.gather(
        *(
            console.request(
                "POST",
                "/agents",
                token=token,
                headers={"Idempotency-Key": "k"},
                json={"name": "A", "status": "published"},
            )
            for console in consoles
        )
    )
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(consoles[0].kubernetes.names(INSTANCES)) == 1


@pytest.mark.parametrize("path", ["/runs", "/runs/stream"])
async def test_a_key_starts_one_run_whichever_agents_are_asked_in_one_moment(
    consoles: list[Platform], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    kubernetes, together = consoles[0].kubernetes, asyncio.Barrier(3)
    create = kubernetes.create

    async def create_together(kind: ResourceType, *args: Any, **options: Any) -> Object:
        if kind is RUNS:
            await together.wait()
        return await create(kind, *args, **options)

    monkeypatch.setattr(kubernetes, "create", create_together)
    headers = {"Idempotency-Key": "k"} | ASYNC
    agents = [publish(kubernetes, name) for name in ("one", "two", "three")]
    token = await consoles[0].token()
    asked = zip(consoles, agents, strict=True)
    asking = [asyncio.create_task(ask(to, agent, token=token, headers=headers, path=path)) for to, agent in asked]
    await eventually(lambda: len(kubernetes.names(RUNS)) == 3)
    await eventually(lambda: len([run for run in runs(kubernetes) if not is_discarded(run)]) == 1)
    [kept] = [run for run in runs(kubernetes) if not is_discarded(run)]
    assert kept["metadata"]["uid"] == min(run["metadata"]["uid"] for run in runs(kubernetes)), "the first one counts"
    assert (await FakePod(kept, consoles[-1].issuer, consoles[-1].surface).answer("Hello")).status_code == 200
    answers = await asyncio.gather(*asking)
    assert sorted(answer.status_code for answer in answers) in ([200, 422, 422], [202, 422, 422])
    [first] = [number for number, answer in enumerate(answers) if answer.status_code < 300]
    monkeypatch.undo()
    again = [await ask(consoles[0], agent, token=token, headers=headers) for agent in agents]
    assert [answer.status_code for answer in again] == [202 if n == first else 422 for n in range(3)]
    assert again[first].json()["id"] == kept["metadata"]["uid"]


@pytest.mark.parametrize("failing", ["list", "patch"])
async def test_a_key_keeps_one_run_although_the_api_server_fails_when_the_second_one_is_discarded(
    consoles: list[Platform], monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    kubernetes, together, failures = consoles[0].kubernetes, asyncio.Barrier(2), list[str]()
    create, collection, patch = kubernetes.create, kubernetes.collection, kubernetes.patch

    def fail_once() -> None:
        if not failures:
            failures.append(failing)
            raise ApiUnavailable("the API server is restarting")

    async def create_together(kind: ResourceType, *args: Any, **options: Any) -> Object:
        body = await create(kind, *args, **options)
        if kind is RUNS:
            await together.wait()
        return body

    async def list_later(kind: ResourceType, *args: Any, **options: Any) -> Collection:
        is_check = kind is RUNS and names.LABEL_IDEMPOTENCY in options.get("labelSelector", "")
        if failing == "list" and is_check and len(kubernetes.names(RUNS)) == 2:
            fail_once()
        return await collection(kind, *args, **options)

    async def patch_later(kind: ResourceType, namespace: str, name: str, body: Object, **options: Any) -> Object:
        if failing == "patch" and names.ANNOTATION_DISCARDED in body.get("metadata", {}).get("annotations", {}):
            fail_once()
        return await patch(kind, namespace, name, body, **options)

    monkeypatch.setattr(kubernetes, "create", create_together)
    monkeypatch.setattr(kubernetes, "collection", list_later)
    monkeypatch.setattr(kubernetes, "patch", patch_later)
    headers = {"Idempotency-Key": "k"} | ASYNC
    agents = [publish(kubernetes, name) for name in ("one", "two")]
    token = await consoles[0].token()
    asked = zip(consoles, agents, strict=False)
    answers = await asyncio.gather(*(ask(to, agent, token=token, headers=headers) for to, agent in asked))
    await eventually(lambda: len([run for run in runs(kubernetes) if not is_discarded(run)]) == 1)
    assert failures == [failing]
    assert 503 in [answer.status_code for answer in answers]


def runs(kubernetes: FakeKubernetes) -> list[Object]:
    """All runs."""
    return [kubernetes.object(RUNS, name, NAMESPACE) for name in kubernetes.names(RUNS)]


def is_discarded(run: Object) -> bool:
    """True for a run that is cancelled and about to be deleted."""
    return names.ANNOTATION_DISCARDED in run["metadata"]["annotations"]


async def test_edits_at_once_lose_no_field(consoles: list[Platform]) -> None:
    agent = await created(consoles[0], name="Ada")
    path = f"/agents/{agent['id']}"
    fields: tuple[dict[str, Any], ...] = ({"name": "Eve"}, {"system_prompt": "Be brief."}, {"llm_params": {"seed": 1}})
    await asyncio.gather(
        *(tried(console, "PUT", path, **given) for console, given in zip(consoles, fields, strict=True))
    )
    edited = await tried(consoles[0], "GET", path)
    assert (edited["name"], edited["system_prompt"], edited["llm_params"]) == ("Eve", "Be brief.", {"seed": 1})


async def test_every_console_shows_the_change_of_another(consoles: list[Platform]) -> None:
    first, second, third = consoles
    agent = await created(first, name="Ada")
    assert await tried(second, "GET", f"/agents/{agent['id']}") == agent
    assert await tried(third, "GET", "/agents") == [agent]
    assert (await second.request("DELETE", f"/agents/{agent['id']}")).status_code == 204
    assert (await third.request("GET", f"/agents/{agent['id']}")).status_code == 404

    async def is_gone() -> bool:
        return bool((await third.request("GET", "/agents")).json() == [])

    await until(is_gone)


def restored(kubernetes: FakeKubernetes, body: Object) -> None:
    """Put an object back as a backup does: without UID, owners, status and times."""
    kept = ("name", "namespace", "labels", "annotations")
    metadata = {key: body["metadata"][key] for key in kept if key in body["metadata"]}
    kubernetes.put({key: body[key] for key in body if key != "status"} | {"metadata": metadata})


async def test_restored_agents_answer_to_their_old_ids(consoles: list[Platform]) -> None:
    kubernetes = consoles[0].kubernetes
    published = await created(consoles[0], name="Ada", status="published")
    edited = await created(consoles[0], name="Eve", status="published")
    edited = await tried(consoles[0], "PUT", f"/agents/{edited['id']}", name="Eva")
    backup = [
        kubernetes.object(kind, name, NAMESPACE)
        for kind in (INSTANCES, CONTROLLER_REVISIONS)
        for name in kubernetes.names(kind)
    ]
    uids = {body["metadata"]["uid"] for body in backup}
    for name in kubernetes.names(INSTANCES):
        kubernetes.remove(INSTANCES, name, NAMESPACE)
    await eventually(lambda: all(c.context.agents.catalog.page(NAMESPACE, limit=1, offset=0)[1] == 0 for c in consoles))
    for body in backup:
        restored(kubernetes, body)
    for console in consoles:
        assert await tried(console, "GET", f"/agents/{published['id']}") == published
        assert await tried(console, "GET", f"/agents/{edited['id']}") == edited
    for kind in (INSTANCES, CONTROLLER_REVISIONS):
        assert not uids & {
            kubernetes.object(kind, name, NAMESPACE)["metadata"]["uid"] for name in kubernetes.names(kind)
        }
    assert (await tried(consoles[1], "POST", f"/agents/{edited['id']}/publish"))["version"] == 2
