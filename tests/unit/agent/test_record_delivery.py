"""How records reach a runs surface, whatever becomes of its replicas. A real agent, model and surface over loopback."""

import asyncio

import pytest
from tests.fakes.model import TOKENS, USAGE, Model
from tests.unit.agent.conftest import IMPATIENT, KEY, PROMPT, QUICK, TOKEN, Pod, task_for
from tests.unit.agent.surface import DIES_AT_ONCE, Reply, replica

from sympozium_agent.agent_settings import Timeouts
from sympozium_api.agent_protocol import MAX_RECORD_BYTES
from sympozium_api.values import replace


async def test_a_run_ends_with_the_whole_answer_and_exit_code_0(pod: Pod, model: Model) -> None:
    async with replica(task_for(model)) as surface:
        assert await pod.run(surface) == 0
    [delivery] = surface.deliveries
    assert delivery.types == ["started", *["delta"] * (len(TOKENS) + 2), "usage", "done"]
    assert delivery.is_whole
    message = {"role": "assistant", "content": "".join(TOKENS)}
    assert surface.end["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]
    assert surface.end["usage"] == USAGE
    assert surface.end["durationMs"] >= 0
    assert pod.termination_message is None


async def test_both_requests_carry_the_pods_token(pod: Pod, model: Model) -> None:
    async with replica(task_for(model)) as surface:
        await pod.run(surface)
    assert {request["authorization"] for request in surface.task_requests} == {f"Bearer {TOKEN}"}
    assert surface.deliveries[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert surface.deliveries[0].headers["content-type"] == "application/x-ndjson"


async def test_every_token_is_pushed_when_it_comes(pod: Pod, model: Model) -> None:
    async with replica(task_for(model, "slow:5:40")) as surface:
        await pod.run(surface)
    [delivery] = surface.deliveries
    deltas = [
        (arrival, float(content))
        for arrival, record in zip(delivery.arrivals, delivery.records, strict=True)
        if record["type"] == "delta" and (content := record["choices"][0]["delta"].get("content"))
    ]
    assert len(deltas) == 5
    assert deltas[0][0] < deltas[-1][1], "the first delta came only after the model had sent the last"
    assert delivery.chunks >= 5


async def test_the_end_record_is_repeated_until_it_is_acknowledged(pod: Pod, model: Model) -> None:
    not_yet = [Reply(503), Reply(200, body=b'{"stored": false}'), Reply(200, body=b"<html>"), Reply(429), Reply()]
    async with replica(task_for(model), events=not_yet) as surface:
        assert await pod.run(surface) == 0
    assert [delivery.types for delivery in surface.deliveries[1:]] == [["done"]] * 4
    assert pod.termination_message is None


async def test_an_end_record_that_is_read_but_never_acknowledged_goes_to_the_next_address(
    pod: Pod, model: Model
) -> None:
    hasty = replace(QUICK, acknowledgement=0.3)
    async with replica(task_for(model), events=[Reply(silent=True)]) as stuck, replica(None) as other:
        assert await pod.run(stuck, other, timeouts=hasty) == 0
    assert stuck.end["type"] == "done"
    assert other.deliveries[0].types == ["done"]


async def test_a_replica_that_dies_while_the_model_speaks_is_replaced_by_the_next(pod: Pod, model: Model) -> None:
    dying = Reply(status=None, after=3)
    async with replica(task_for(model, "slow:6:20"), events=[dying]) as first, replica(None) as second:
        assert await pod.run(first, second) == 0
    [delivery] = second.deliveries
    assert delivery.types[0] == "started"
    assert delivery.types[-1] == "done"
    assert len(second.end["choices"][0]["message"]["content"].split()) == 6, "the end holds what the first replica got"
    assert model.counts.asked == 1


async def test_an_agent_whose_first_address_is_dead_uses_the_second(pod: Pod, model: Model) -> None:
    async with replica(task_for(model)) as gone:
        pass
    async with replica(task_for(model)) as alive:
        assert await pod.run(gone, alive) == 0
    assert alive.deliveries[0].types[0] == "started"
    assert "delta" in alive.deliveries[0].types


async def test_a_cancelled_run_stops_at_once_though_the_model_is_silent(pod: Pod, model: Model) -> None:
    async with replica(task_for(model, "hang"), events=[Reply(410, after=1)]) as surface:
        assert await pod.run(surface) == 0
    assert surface.deliveries[0].types == ["started"]
    assert pod.termination_message is None


async def test_a_cancelled_run_closes_the_models_connection(pod: Pod, model: Model) -> None:
    async with replica(task_for(model, "slow:500:10"), events=[Reply(410, after=4)]) as surface:
        assert await pod.run(surface) == 0
    async with asyncio.timeout(60):
        while not model.counts.abandoned:
            await asyncio.sleep(0.01)
    assert len(surface.deliveries) == 1


@pytest.mark.parametrize("status", [409, 410])
async def test_an_end_record_that_comes_too_late_is_no_failure(pod: Pod, model: Model, status: int) -> None:
    async with replica(task_for(model), events=[Reply(503), Reply(status)]) as surface:
        assert await pod.run(surface) == 0
    assert pod.termination_message is None


async def test_an_end_record_that_no_replica_acknowledges_becomes_the_termination_message(
    pod: Pod, model: Model
) -> None:
    async with replica(task_for(model), events=[DIES_AT_ONCE]) as surface:
        assert await pod.run(surface, timeouts=IMPATIENT) == 1
    assert pod.termination_message is not None
    assert pod.termination_message["choices"][0]["message"]["content"] == "".join(TOKENS)


async def test_an_answer_too_long_for_the_termination_message_is_an_error_there(pod: Pod, model: Model) -> None:
    long = [{"role": "user", "content": "x" * 5000}]
    async with replica(task_for(model, "echo", messages=long), events=[DIES_AT_ONCE]) as surface:
        assert await pod.run(surface, timeouts=IMPATIENT) == 1
    assert pod.termination_message is not None
    assert pod.termination_message["error"]["type"] == "answer_not_delivered"
    assert pod.termination_file.stat().st_size <= 4096


async def test_the_end_record_is_sent_to_every_address_before_a_refusal_counts(pod: Pod, model: Model) -> None:
    async with replica(task_for(model), events=[Reply(401)]) as confused, replica(None) as sane:
        assert await pod.run(confused, sane) == 0
    assert sane.end["type"] == "done"


async def test_an_agent_that_every_address_refuses_stops_and_says_so(pod: Pod, model: Model) -> None:
    async with replica(task_for(model, "hang"), events=[Reply(403, after=1)]) as surface:
        assert await pod.run(surface) == 1
    assert pod.termination_message is not None
    assert pod.termination_message["error"]["type"] == "answer_not_delivered"


async def test_the_task_is_asked_for_again_until_there_is_one(pod: Pod, model: Model) -> None:
    replies = [Reply(204), Reply(204), Reply(503), DIES_AT_ONCE, Reply(408), Reply()]
    async with replica(task_for(model), tasks=replies) as surface:
        assert await pod.run(surface) == 0
    assert len(surface.task_requests) == 6


async def test_a_waiting_agent_stays_with_the_address_that_has_no_task_yet(pod: Pod, model: Model) -> None:
    waiting = [Reply(204), Reply(204), Reply(204), Reply()]
    async with replica(task_for(model), tasks=waiting) as first, replica(None, tasks=[Reply(404)]) as second:
        assert await pod.run(first, second) == 0
    assert not second.task_requests


@pytest.mark.parametrize("status", [401, 403, 404, 409, 410])
async def test_a_refused_task_is_not_run(pod: Pod, model: Model, status: int) -> None:
    async with replica(None, tasks=[Reply(status)]) as surface:
        assert await pod.run(surface) == 1
    assert not surface.deliveries
    assert model.counts.asked == 0
    assert (pod.termination_message is None) == (status in (409, 410))


async def test_a_stopped_agent_says_that_it_was_terminated(pod: Pod, model: Model) -> None:
    async with replica(task_for(model, "slow:500:10")) as surface:
        running = asyncio.create_task(pod.run(surface))
        await surface.until(records=3)
        pod.stop.set()
        assert await running == 1
    assert surface.end["error"]["type"] == "terminated"
    assert surface.end["error"]["httpStatus"] == 503


async def test_a_stopped_agent_without_acknowledgement_exits_after_its_shutdown_grace(pod: Pod, model: Model) -> None:
    patient = replace(QUICK, delivery_grace=60.0, shutdown_grace=0.05)
    async with replica(task_for(model, "hang"), events=[Reply(silent=True)]) as surface:
        running = asyncio.create_task(pod.run(surface, timeouts=patient))
        await surface.until(records=1)
        pod.stop.set()
        assert await running == 1
    assert pod.termination_message is not None
    assert pod.termination_message["error"]["type"] == "terminated"


async def test_an_agent_that_is_stopped_before_it_has_a_task_ends_the_run(pod: Pod) -> None:
    async with replica(None, tasks=[Reply(silent=True)]) as surface:
        running = asyncio.create_task(pod.run(surface))
        while not surface.task_requests:
            await asyncio.sleep(0.005)
        pod.stop.set()
        assert await running == 1
    assert surface.end["error"]["type"] == "terminated"


async def test_an_answer_larger_than_a_record_may_be_is_an_error(pod: Pod, model: Model) -> None:
    long = [{"role": "user", "content": "x" * MAX_RECORD_BYTES}]
    async with replica(task_for(model, "echo", messages=long, timeout=60)) as surface:
        assert await pod.run(surface) == 0
    assert surface.end["error"]["type"] == "answer_too_large"


async def test_nothing_secret_and_no_content_is_logged(
    pod: Pod, model: Model, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("echo", "status:401", "badjson", "cut"):
        async with replica(task_for(model, name), events=[Reply(503), Reply()]) as surface:
            await pod.run(surface)
    printed = "".join(capfd.readouterr())
    assert "agent_ended" in printed
    for secret in (KEY, TOKEN, PROMPT, "Hello"):
        assert secret not in printed


def test_the_default_timeouts_survive_a_rolling_update_of_the_web_proxy() -> None:
    assert Timeouts().delivery_grace >= 30
    assert Timeouts().shutdown_grace <= 3
