"""Answers that do not fit into one object are kept whole, in parts that their run owns."""

import asyncio
import json
import secrets
from typing import Any

import httpx2
import pytest
from tests.fakes.kubernetes import api_error
from tests.fakes.pod import FakePod, delta, done, failed
from tests.integration.conftest import KEY, Proxy, eventually, hold_parts
from tests.integration.test_long_requests import Crash, parts_of, restarted
from tests.mcp_clients import ERAS, connected

from sympozium_api import names, terminal_status
from sympozium_api.agent_protocol import MAX_RECORD_BYTES
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import RUN_PARTS, RUNS, Object, ResourceType
from sympozium_runs import long_answers

HEADERS = {"Authorization": f"Bearer {KEY}"}
KEYED = {"Idempotency-Key": "k"}
ANSWER = "a < b\n" + secrets.token_urlsafe(6 * 1024 * 1024 - 10_000)  # 8 MiB
STARTED = {"type": "started"}


def content_of(answer: httpx2.Response) -> Any:
    assert answer.status_code == 200, answer.text[:500]
    return answer.json()["choices"][0]["message"]["content"]


def streamed(chunks: str) -> str:
    found = [json.loads(line.removeprefix("data: ")) for line in chunks.split("\n") if line.startswith("data: {")]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in found if chunk["choices"])


def status_of(proxy: Proxy, run: str) -> Object:
    status: Object = proxy.kubernetes.object(RUNS, run)["status"]
    return status


def joined(events: str, kind: str, field: str) -> str:
    """The pieces of a stream's events of one kind."""
    found = [json.loads(line.removeprefix("data: ")) for line in events.split("\n") if line.startswith("data: {")]
    return "".join(event[field] for event in found if event["type"] == kind)


class TestAnswers:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_long_answer_is_told_whole_and_again_by_its_key(self, proxy: Proxy, stream: bool) -> None:
        asked = asyncio.create_task(proxy.chat(headers=KEYED, stream=stream))
        pod = await proxy.pod()
        half = len(ANSWER) // 2
        said = (STARTED, delta(ANSWER[:half]), delta(ANSWER[half:]), done(ANSWER))
        assert (await pod.say(*said)).json() == {"stored": True}
        first = await asked
        async with restarted(proxy) as other:
            again = await other.chat(headers=KEYED, stream=stream)
        if stream:
            assert [streamed(answer.text) for answer in (first, again)] == [ANSWER, ANSWER]
        else:
            assert content_of(first) == ANSWER
            assert again.json() == first.json()
        await eventually(lambda: proxy.context.budget.used == 0)

    async def test_the_run_owns_the_parts_and_names_them(self, proxy: Proxy) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        await pod.say(STARTED, done(ANSWER))
        await asked
        run, parts = proxy.kubernetes.object(RUNS, pod.run), parts_of(proxy)
        assert run["status"]["answer"]["parts"] == len(parts) >= 8
        assert run["status"]["phase"] == "Succeeded"
        assert "result" not in run["status"]
        for part in parts:
            assert part["spec"]["text"] == "answer"
            assert part["metadata"]["ownerReferences"][0]["uid"] == run["metadata"]["uid"]
            assert part["metadata"]["labels"][names.LABEL_INSTANCE] == "demo"
        proxy.kubernetes.remove(RUNS, pod.run)
        assert parts_of(proxy) == []

    async def test_a_usual_answer_is_written_as_before(self, proxy: Proxy) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        await pod.answer("Hello")
        await asked
        assert proxy.kubernetes.writes == [("create", "agentruns", pod.run), ("patch", "agentruns/status", pod.run)]

    async def test_the_parts_are_stored_before_the_status_and_that_before_the_end_is_told(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        may_write = hold_parts(proxy, monkeypatch)
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        speaking = asyncio.create_task(pod.say(STARTED, done(ANSWER[: 2 * 1024 * 1024])))
        await asyncio.sleep(0.5)
        assert not asked.done()
        assert "phase" not in proxy.kubernetes.object(RUNS, pod.run).get("status", {})
        may_write.set()
        await speaking
        assert content_of(await asked) == ANSWER[: 2 * 1024 * 1024]
        kinds = [kind for _, kind, _ in proxy.kubernetes.writes]
        assert kinds == ["agentruns", *["agentrunparts"] * len(parts_of(proxy)), "agentruns/status"]

    async def test_a_response_is_the_same_at_any_replica(self, proxy: Proxy) -> None:
        body = {"input": "hello", "background": True, "stream": True}
        asked = asyncio.create_task(proxy.http.post("/v1/responses", json=body, headers=HEADERS))
        pod = await proxy.pod()
        pieces = [ANSWER[at : at + 500_000] for at in range(0, len(ANSWER), 500_000)]
        await pod.say(STARTED, *map(delta, pieces), done(ANSWER))
        streamed = (await asked).text
        assert joined(streamed, "response.output_text.delta", "delta") == ANSWER
        name = json.loads(streamed.split("data: ", 1)[1].split("\n")[0])["response"]["id"]
        async with restarted(proxy) as other:
            for replica in (proxy, other):
                fetched = await replica.http.get(f"/v1/responses/{name}", headers=HEADERS)
                assert fetched.json()["output"][0]["content"][0]["text"] == ANSWER
                resumed = await replica.http.get(f"/v1/responses/{name}?stream=true&starting_after=1", headers=HEADERS)
                assert joined(resumed.text, "response.output_text.delta", "delta") == ANSWER
                assert joined(resumed.text, "response.output_text.done", "text") == ANSWER
        await eventually(lambda: proxy.context.budget.used == 0)

    async def test_a_caller_at_another_replica_gets_the_answer_once_it_is_stored(self, proxy: Proxy) -> None:
        async with restarted(proxy) as other:
            asked = asyncio.create_task(other.chat())
            pod = await proxy.pod()
            assert (await pod.say(STARTED, done(ANSWER))).json() == {"stored": True}
            assert content_of(await asked) == ANSWER

    @pytest.mark.parametrize(("era", "size"), [*((era, 450_000) for era in ERAS), (ERAS[-1], len(ANSWER))])
    async def test_a_tool_call_and_its_resource_are_whole_over_mcp(self, proxy: Proxy, era: str, size: int) -> None:
        """The client reads server-sent events of at most 1 MiB, and a result has its text twice."""
        answer = ANSWER[:size]
        async with restarted(proxy) as other, connected(proxy.url, KEY, era) as client:
            calling = asyncio.create_task(client.call_tool("ask_agent", {"task": "hello"}))
            pod = await proxy.pod()
            await pod.say(STARTED, done(answer))
            content = (await calling).content[0]
            async with connected(other.url, KEY, era) as elsewhere:
                [read] = (await elsewhere.read_resource(f"sympozium://runs/{pod.run}")).contents
        assert content.text == answer  # type: ignore[union-attr]
        assert json.loads(read.text)["text"] == answer  # type: ignore[union-attr]
        assert len(parts_of(proxy)) == (1 if size < len(ANSWER) else 9)

    async def test_tool_calls_logprobs_and_usage_of_a_long_answer_are_kept(self, proxy: Proxy) -> None:
        call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": json.dumps({"x": ANSWER})}}
        end: Any = done("")
        end["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
        end["choices"][0]["finish_reason"] = "tool_calls"
        asked = asyncio.create_task(proxy.chat(headers=KEYED))
        pod = await proxy.pod()
        await pod.say(STARTED, end)
        first = (await asked).json()
        async with restarted(proxy) as other:
            assert (await other.chat(headers=KEYED)).json() == first
        assert first["choices"][0]["message"]["tool_calls"] == [call]
        assert first["usage"] == end["usage"]

    async def test_missing_parts_are_an_error_by_name(self, proxy: Proxy) -> None:
        asked = asyncio.create_task(proxy.chat(headers=KEYED))
        pod = await proxy.pod()
        await pod.say(STARTED, done(ANSWER))
        await asked
        proxy.kubernetes.remove(RUN_PARTS, parts_of(proxy)[-1]["metadata"]["name"])
        async with restarted(proxy) as other:
            again = await other.chat(headers=KEYED)
        assert again.status_code == 502
        assert "status.answer.parts" in again.json()["error"]["message"]

    async def test_an_answer_of_more_than_8_mib_is_an_error(self, proxy: Proxy) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        assert (await pod.say(STARTED, done("x" * (8 * 1024 * 1024 + 64 * 1024)))).json() == {"stored": True}
        answer = await asked
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "answer_too_large")
        assert parts_of(proxy) == []

    async def test_an_emoji_makes_no_answer_too_large(self, proxy: Proxy) -> None:
        text = "\U0001f600" + "x" * (8 * 1024 * 1024 - 200)
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        await pod.say(STARTED, done(text))
        assert content_of(await asked) == text


class TestCrashes:
    """A replica, or the API server, that ends between the writes of a long answer."""

    async def crash(self, proxy: Proxy, step: int) -> FakePod:
        """Return the pod whose replica ends at this write of the answer; the last is that of the status."""
        run = asyncio.create_task(proxy.chat(headers=KEYED))
        pod = await proxy.pod()
        create, number, has_crashed = proxy.kubernetes.create, 0, asyncio.Event()

        async def counted(kind: ResourceType, *words: Any, **options: Any) -> Object:
            nonlocal number
            number += 1
            if number > step:
                has_crashed.set()
                raise Crash
            return await create(kind, *words, **options)

        async def never(*_: Any, **__: Any) -> Object:
            has_crashed.set()
            raise Crash

        with pytest.MonkeyPatch.context() as replaced:
            replaced.setattr(proxy.kubernetes, "create", counted)
            replaced.setattr(proxy.kubernetes, "patch", never)
            speaking = asyncio.create_task(pod.say(STARTED, done(ANSWER)))
            await eventually(lambda: len(parts_of(proxy)) == min(step, 9))
            await eventually(has_crashed.is_set)
            speaking.cancel()
            run.cancel()
        return pod

    @pytest.mark.parametrize("step", [0, 1, 5, 8, 99])
    async def test_the_pod_repeats_its_end_and_finds_what_it_would_write(self, proxy: Proxy, step: int) -> None:
        expected = len(terminal_status.ending_of(done(ANSWER)).answer.parts)  # type: ignore[union-attr]
        pod = await self.crash(proxy, min(step, expected))
        async with restarted(proxy) as other:
            repeated = FakePod(proxy.kubernetes.object(RUNS, pod.run), other.issuer, other.surface)
            assert (await repeated.say(done(ANSWER))).json() == {"stored": True}
            assert content_of(await other.chat(headers=KEYED)) == ANSWER
        assert len(parts_of(proxy)) == expected

    async def test_a_different_end_leaves_parts_that_go_with_the_run(self, proxy: Proxy) -> None:
        pod = await self.crash(proxy, 3)
        async with restarted(proxy) as other:
            repeated = FakePod(proxy.kubernetes.object(RUNS, pod.run), other.issuer, other.surface)
            assert (await repeated.say(failed("terminated", "stopped", 503))).json() == {"stored": True}
            assert (await other.chat(headers=KEYED)).status_code == 503
        assert len(parts_of(proxy)) == 3
        proxy.kubernetes.remove(RUNS, pod.run)
        assert parts_of(proxy) == []

    async def test_a_run_that_has_ended_gets_no_parts(self, proxy: Proxy) -> None:
        asked = asyncio.create_task(proxy.chat())
        pod = await proxy.pod()
        await pod.answer("Hello")
        await asked
        assert (await pod.say(done(ANSWER))).json() == {"stored": True}  # an end of the same kind stands
        assert parts_of(proxy) == []
        assert status_of(proxy, pod.run)["result"] == "Hello"

    async def test_the_api_server_is_away_for_a_part(self, proxy: Proxy) -> None:
        asked = asyncio.create_task(proxy.chat(headers=KEYED))
        pod = await proxy.pod()
        proxy.kubernetes.refuse("create", RUN_PARTS, ApiUnavailable("away"))
        assert (await pod.say(STARTED, done(ANSWER))).status_code == 503
        assert (await pod.say(done(ANSWER))).json() == {"stored": True}
        assert content_of(await asked) == ANSWER
        assert content_of(await proxy.chat(headers=KEYED)) == ANSWER

    async def test_parts_that_are_refused_for_good_end_the_run_with_an_error(self, proxy: Proxy) -> None:
        asked = asyncio.create_task(proxy.chat(headers=KEYED))
        pod = await proxy.pod()
        for _ in range(16):
            proxy.kubernetes.refuse("create", RUN_PARTS, api_error(403, "Forbidden", "denied: <secret>"))
        assert (await pod.say(STARTED, done(ANSWER))).json() == {"stored": True}
        first, again = await asked, await proxy.chat(headers=KEYED)
        assert (first.status_code, first.json()["error"]["code"]) == (502, "answer_not_storable")
        assert first.json()["error"]["message"] == "The cluster refuses to store the answer."
        assert again.json() == first.json()
        assert "secret" not in first.text


class TestTurns:
    async def test_long_answers_of_many_pods_are_stored_one_after_another(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        under_way = most = 0
        write = proxy.context.runs._store._parts.write

        async def counted(*words: Any) -> None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.05)
            await write(*words)
            under_way -= 1

        monkeypatch.setattr(type(proxy.context.runs._store._parts), "write", lambda _, *words: counted(*words))
        asking, pods = [], []
        for number in range(3):
            asking.append(asyncio.create_task(proxy.chat()))
            pods.append(await proxy.pod(among=number + 1))
        said = await asyncio.gather(*(pod.say(STARTED, done(ANSWER[: 2 * 1024 * 1024])) for pod in pods))
        assert [answer.json() for answer in said] == [{"stored": True}] * 3
        for asked in asking:
            assert content_of(await asked) == ANSWER[: 2 * 1024 * 1024]
        assert most == 1

    async def test_a_pod_that_sends_a_long_record_slowly_holds_up_others_for_a_while_only(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = asyncio.create_task(proxy.chat())
        slow = await proxy.pod()
        second = asyncio.create_task(proxy.chat())
        quick = await proxy.pod(among=2)
        never, line = asyncio.Event(), json.dumps(done(ANSWER)).encode()

        async def stalled() -> Any:
            yield line[: 2 * 1024 * 1024]
            await never.wait()

        with monkeypatch.context() as hurried:
            hurried.setattr(long_answers, "_READ_SECONDS", 0.3)
            stalling = asyncio.create_task(slow.post(stalled()))
            await eventually(lambda: proxy.context.budget.used >= MAX_RECORD_BYTES)
        assert (await quick.say(STARTED, done(ANSWER))).json() == {"stored": True}
        assert content_of(await second) == ANSWER
        never.set()
        assert (await stalling).status_code == 503
        assert (await slow.say(STARTED, done("Hello"))).json() == {"stored": True}
        assert content_of(await first) == "Hello"

    async def test_a_long_answer_is_not_read_where_the_process_holds_too_much(self, proxy: Proxy) -> None:
        body = {"input": "hello", "background": True}
        created = (await proxy.http.post("/v1/responses", json=body, headers=HEADERS)).json()
        pod = await proxy.pod()
        await pod.say(STARTED, done(ANSWER))
        budget = proxy.context.budget
        budget.add(budget.limit - 1)
        refused = await proxy.http.get(f"/v1/responses/{created['id']}", headers=HEADERS)
        budget.add(1 - budget.limit)
        fetched = await proxy.http.get(f"/v1/responses/{created['id']}", headers=HEADERS)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert fetched.json()["output"][0]["content"][0]["text"] == ANSWER
