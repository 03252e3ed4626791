"""Sessions of runs, and their Idempotency-Keys, over HTTP."""

import uuid
from dataclasses import replace
from typing import Any

import pytest
from tests.fakes.session_world import messages_of
from tests.integration.platform.agents import publish
from tests.integration.platform.asking import ASYNC, answered, ask, events, pruned, stored
from tests.integration.platform.conftest import NAMESPACE, OTHER_NAMESPACE, Platform, error

from sympozium_api.resources import RUNS
from sympozium_archive.run_rows import RunRows


class TestASession:
    async def test_gives_the_model_its_earlier_turns_to_whoever_asks(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        first = await answered(platform, agent, "one", "1")
        session = {"session_id": first["session_id"]}
        token = await platform.token("tools:read", user="grace")
        second = (await ask(platform, agent, "two", fields=session, token=token, headers=ASYNC)).json()
        assert second["session_id"] == first["session_id"]
        assert second["input_message"] == "two"
        assert messages_of(stored(platform, second["id"])) == ["one", "1", "two"]

    async def test_is_a_new_one_without_an_id(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        first, second = [(await ask(platform, agent, headers=ASYNC)).json() for _ in range(2)]
        assert first["session_id"] != second["session_id"]
        assert messages_of(stored(platform, second["id"])) == ["hi"]

    async def test_of_another_tenant_or_agent_is_another_one(self, platform: Platform) -> None:
        session = {"session_id": "s"}
        await answered(platform, publish(platform.kubernetes), "one", "1", fields=session)
        other = publish(platform.kubernetes, "other")
        run = (await ask(platform, other, "two", fields=session, headers=ASYNC)).json()
        assert messages_of(stored(platform, run["id"])) == ["two"]
        token = await platform.token(namespace=OTHER_NAMESPACE)
        theirs = publish(platform.kubernetes, namespace=OTHER_NAMESPACE)
        run = (await ask(platform, theirs, "two", fields=session, token=token, headers=ASYNC)).json()
        assert messages_of(stored(platform, run["id"])) == ["two"]

    async def test_goes_on_after_its_agent_was_restored_under_another_uid(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        first = await answered(platform, agent, "one", "1", fields={"session_id": "s"})
        instance = platform.kubernetes.objects.pop(("sympoziuminstances", NAMESPACE, "bot"))
        platform.kubernetes.put(instance | {"metadata": instance["metadata"] | {"uid": str(uuid.uuid4())}})
        second = (await ask(platform, agent, "two", fields={"session_id": "s"}, headers=ASYNC)).json()
        assert messages_of(stored(platform, second["id"])) == ["one", "1", "two"]
        assert second["agent_id"] == first["agent_id"] == agent


class TestAnIdempotencyKey:
    KEY = {"Idempotency-Key": "k"}

    @pytest.mark.parametrize("fields", [{}, {"session_id": "s"}])
    async def test_finds_its_run_again_also_as_a_stream(self, platform: Platform, fields: dict[str, str]) -> None:
        agent = publish(platform.kubernetes)
        first = await answered(platform, agent, headers=self.KEY, fields=fields)
        again = await ask(platform, agent, headers=self.KEY, fields=fields)
        assert (again.status_code, again.json()) == (200, first)
        replayed = events(await ask(platform, agent, headers=self.KEY, fields=fields, path="/runs/stream"))
        assert [name for name, _ in replayed] == ["start", "result"]
        assert (replayed[0][1]["run_id"], replayed[1][1]["output"]) == (first["id"], "Hello")
        assert len(platform.kubernetes.names(RUNS)) == 1

    @pytest.mark.parametrize("other", [{"input_message": "bye"}, {"session_id": "s"}, {"agent_id": None}])
    async def test_with_another_body_is_refused(self, platform: Platform, other: dict[str, Any]) -> None:
        agent, another = publish(platform.kubernetes), publish(platform.kubernetes, "other")
        await answered(platform, agent, headers=self.KEY)
        fields = {name: value or another for name, value in other.items()}
        refusal = error(await ask(platform, agent, headers=self.KEY, fields=fields), 422, "Idempotency-Key")
        assert refusal["code"] == "idempotency_key_reused"
        assert len(platform.kubernetes.names(RUNS)) == 1

    async def test_is_its_api_keys_own(self, platform: Platform) -> None:
        agent = publish(platform.kubernetes)
        mine = (await ask(platform, agent, headers=self.KEY | ASYNC)).json()
        other = await ask(platform, agent, "bye", headers=self.KEY | ASYNC, token=await platform.token())
        assert (other.status_code, other.json()["id"] != mine["id"]) == (202, True)


async def test_a_session_continues_from_the_archive(archiving: Platform) -> None:
    agent = publish(archiving.kubernetes)
    first = await answered(archiving, agent, "one", "1", fields={"session_id": "s"})
    row = await pruned(archiving, first)
    forged = replace(row, uid=str(uuid.uuid4()), name=f"{row.name[:-1]}7", key_id=None)
    await RunRows(archiving.context.database).upsert([forged])
    second = await answered(archiving, agent, "two", "2", fields={"session_id": "s"})
    body = stored(archiving, second["id"])
    assert (messages_of(body), body["metadata"]["name"]) == (["one", "1", "two"], f"{row.name[:-1]}2")
    assert second["input_message"] == "two"
    await pruned(archiving, second)
    third = (await ask(archiving, agent, "three", fields={"session_id": "s"}, headers=ASYNC)).json()
    assert messages_of(stored(archiving, third["id"])) == ["one", "1", "two", "2", "three"]
