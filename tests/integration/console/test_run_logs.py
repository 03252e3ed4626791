"""The log of a run's pod over HTTP."""

import asyncio
import json

import pytest
from tests.fakes.callers import account_token, grant
from tests.fakes.kubernetes import api_error
from tests.fakes.open_watches import WatchResponse
from tests.integration.conftest import eventually
from tests.integration.console.conftest import Console, error, run
from tests.integration.console.run_logs_world import child, with_log
from tests.integration.console.test_callers import OWN, USER

from sympozium_api import names
from sympozium_api.resources import JOBS, PODS, RUNS
from sympozium_console.routes import run_logs

PATH = "/api/v1/runs/r/logs"
FAILED = {"status": {"phase": "Failed", "error": {"type": "lost", "message": "gone", "httpStatus": 502}}}


class TestTheLog:
    async def test_of_a_run_is_its_last_lines_as_text(self, console: Console) -> None:
        with_log(console.kubernetes, run("r") | FAILED, "one\ntwo\nthr\xe9e <b>\n")
        answer = await console.request("GET", f"{PATH}?tail=2")
        assert (answer.status_code, answer.text) == (200, "two\nthr\xe9e <b>\n")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await console.request("GET", f"{PATH}?tail=0")).text == ""

    async def test_of_a_run_that_an_idle_pod_did_is_that_of_the_claimed_pod(self, console: Console) -> None:
        job = names.idle_job("demo", "0a1b2c3d", "4e5f60")
        claim = {"jobName": job, "podName": f"{job}-abcde"}
        with_log(console.kubernetes, run("r", claim=claim) | FAILED, "warm\n", job=job)
        assert (await console.request("GET", PATH)).text == "warm\n"

    async def test_follows_until_the_pod_ends(self, console: Console) -> None:
        log = WatchResponse()
        with_log(console.kubernetes, run("r") | {"status": {"phase": "Running"}}, log)
        log.lines.put_nowait(b"one\n")
        async with console.http.stream("GET", f"{PATH}?follow=true&timestamps=true") as response:
            lines = response.aiter_lines()
            assert await anext(lines) == "one"
            log.lines.put_nowait(b"two\n")
            log.lines.put_nowait(None)
            assert [line async for line in lines] == ["two"]

    @pytest.mark.parametrize("end", ["draining", "right", "client"])
    async def test_that_is_followed_ends_with_the_console_the_callers_right_and_the_client(
        self, console: Console, monkeypatch: pytest.MonkeyPatch, end: str
    ) -> None:
        monkeypatch.setattr(run_logs, "_JUDGED_SECONDS", 0.05)
        with_log(console.kubernetes, run("r", namespace=OWN) | {"status": {"phase": "Running"}}, log := WatchResponse())
        log.lines.put_nowait(b"one\n")
        grant(console.kubernetes, USER, OWN, verbs=("get",), plurals=("pods/log",))
        headers = {"Authorization": f"Bearer {account_token(console.issuer, OWN, 'reader')}"}
        path = f"{PATH}?follow=true&namespace={OWN}"
        async with console.http.stream("GET", path, headers=headers) as response:
            text = response.aiter_text()
            assert await anext(text) == "one\n"
            await asyncio.sleep(0.1)  # judged, and found to have the right
            if end == "draining":
                console.context.draining.set()
            elif end == "right":
                console.kubernetes.grants.clear()
                console.clock.advance(11)
            if end != "client":
                assert [piece async for piece in text] == []
        await eventually(lambda: not console.context.feed._streams)


class TestRefusals:
    async def test_a_pod_that_is_gone_is_410_with_what_is_left(self, console: Console) -> None:
        with_log(console.kubernetes, run("r") | FAILED, "x")
        await console.kubernetes.delete(PODS, "default", console.kubernetes.names(PODS)[0])
        gone = error(await console.request("GET", PATH), 410)
        assert (gone["reason"], gone["code"]) == ("PodGone", "EXPIRED")
        assert "runs.failedJobRetention" in gone["message"]
        assert "status.error" in gone["message"]
        await console.kubernetes.delete(JOBS, "default", console.kubernetes.names(JOBS)[0])
        assert error(await console.request("GET", PATH), 410)["reason"] == "PodGone"

    async def test_a_run_without_a_pod_yet_is_409_with_a_time_to_try_again(self, console: Console) -> None:
        console.kubernetes.put(run("r"))
        early = await console.request("GET", PATH)
        assert error(early, 409)["reason"] == "NoPod"
        assert early.headers["retry-after"] == "1"
        refusal = {"reason": "BadRequest", "message": 'container "agent" is waiting to start: ContainerCreating'}
        starting = WatchResponse(status=400, refusal=json.dumps(refusal).encode())
        with_log(console.kubernetes, run("r"), starting)
        assert "ContainerCreating" in error(await console.request("GET", PATH), 409)["message"]

    async def test_a_run_that_names_a_pod_of_others_shows_none_of_its_log(self, console: Console) -> None:
        stranger = with_log(console.kubernetes, run("other") | FAILED, "secret")
        victim = console.kubernetes.object(RUNS, "other")
        with_log(console.kubernetes, run("r") | {"status": {"phase": "Running", "podName": stranger}}, "own")
        assert error(await console.request("GET", PATH), 409)["reason"] == "ForeignPod"
        claim = {"jobName": stranger[:-6], "podName": stranger}
        console.kubernetes.put(run("claims", claim=claim))
        assert error(await console.request("GET", "/api/v1/runs/claims/logs"), 409)["reason"] == "NoPod"
        idle = names.idle_job("demo", "0a1b2c3d", "4e5f60")
        console.kubernetes.put(child("Job", idle, "default", owner=victim))
        console.kubernetes.logs[f"{idle}-abcde"] = "secret"
        console.kubernetes.put(run("claims-idle", claim={"jobName": idle, "podName": f"{idle}-abcde"}))
        assert error(await console.request("GET", "/api/v1/runs/claims-idle/logs"), 409)["reason"] == "NoPod"

    async def test_a_server_run_has_no_log_of_its_own(self, console: Console) -> None:
        console.kubernetes.put(run("r", mode="server", request=None))
        assert error(await console.request("GET", PATH), 409)["reason"] == "ServerRun"

    async def test_a_console_without_the_right_says_which_value_gives_it(self, console: Console) -> None:
        with_log(console.kubernetes, run("r") | FAILED, "x")
        console.kubernetes.refuse("get metadata", JOBS, api_error(403, "Forbidden", "jobs is forbidden"))
        off = error(await console.request("GET", PATH), 403)
        assert off["reason"] == "LogsOff"
        assert "console.logs" in off["message"]

    @pytest.mark.parametrize("query", ["tail=-1", "tail=10001", "follow=perhaps", "lines=3"])
    async def test_a_wrong_parameter_is_named(self, console: Console, query: str) -> None:
        refusal = error(await console.request("GET", f"{PATH}?{query}"), 400)
        assert refusal["fields"][0]["field"] == query.partition("=")[0]

    async def test_an_absent_run_is_404(self, console: Console) -> None:
        error(await console.request("GET", PATH), 404)


class TestDryRuns:
    async def test_of_a_cancellation_and_a_deletion_change_nothing(self, archiving: Console) -> None:
        archiving.kubernetes.put(run("r"))
        archiving.kubernetes.writes.clear()
        cancelled = await archiving.request("POST", "/api/v1/runs/r/cancel?dryRun=All")
        assert (cancelled.status_code, cancelled.json()["spec"]["cancel"]) == (202, True)
        assert (await archiving.request("DELETE", "/api/v1/runs/r?dryRun=All")).status_code == 204
        assert archiving.kubernetes.writes == []
        assert archiving.kubernetes.object(RUNS, "r")["spec"]["cancel"] is False
