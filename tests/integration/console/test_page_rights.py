"""What pages let callers do and see beyond what the API lets them: nothing. Their refusals are in the audit as those of the API."""

import asyncio
import copy
import gzip
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.callers import account_token, grant, user_of
from tests.integration.console.conftest import Console, run, serving
from tests.integration.console.test_audit import changes

from sympozium_api.rate_limit import CallRate
from sympozium_api.resources import CONFIGS, INSTANCES, Object
from sympozium_archive.database import Database
from sympozium_console.console_settings import CallerRates

SYSTEM = "sympozium-system"


def bearer(console: Console, account: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {account_token(console.issuer, 'team', account)}"}


async def test_a_refused_change_of_a_page_is_one_row_of_the_audit_with_the_objects_namespace_and_name(
    archiving: Console,
) -> None:
    mia = bearer(archiving, "mia")
    for path, data in (
        ("/instances/default/demo/delete", {"confirmed": "demo"}),
        ("/runs/team/r1/cancel", {"sent": "yes"}),
        ("/runs/selected", {"action": "delete", "run": "team/r2", "confirmed": "yes"}),
    ):
        await archiving.request("POST", path, data=data, headers=mia)
    await archiving.request("GET", "/instances/default/demo/yaml", headers=mia)

    async def rows() -> list[tuple[str, ...]]:
        return [(r["surface"], r["action"], r["kind"], r["namespace"], r["resource"]) for r in await changes(archiving)]

    expected = [
        ("pages", "cancel", "AgentRun", "team", "r1"),
        ("pages", "delete", "AgentRun", "team", "r2"),
        ("pages", "delete", "SympoziumInstance", "default", "demo"),
        ("pages", "get", "SympoziumInstance", "default", "demo"),
    ]
    async with asyncio.timeout(60):
        while len(stored := await rows()) < len(expected):
            await asyncio.sleep(0.01)
    assert sorted(stored) == expected


async def test_a_question_of_the_chat_counts_as_a_run_that_is_started(tmp_path: Path) -> None:
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    async with serving(tmp_path, database, rates=CallerRates(runs=CallRate(1, 60))) as console:
        form = {"question": "hello", "session": "s"}
        answers = [await console.request("POST", "/instances/default/demo/chat", data=form) for _ in range(2)]
    await database.close()
    assert [answer.status_code for answer in answers] == [503, 429]


@pytest.mark.parametrize(
    ("verb", "header", "is_there"), [("create", "If-None-Match", True), ("update", "If-Match", False)]
)
async def test_no_header_opens_what_the_form_of_the_config_takes_a_right_for(
    console: Console, verb: str, header: str, *, is_there: bool
) -> None:
    metadata = {"name": "default", "namespace": SYSTEM}
    stored = {"apiVersion": CONFIGS.api_version, "kind": CONFIGS.kind, "metadata": metadata, "spec": {}}
    if is_there:
        console.kubernetes.put(stored)
    grant(console.kubernetes, user_of("team", "mia"), SYSTEM, verbs=("get", verb))
    form = {"text": "gateway: {enabled: false, name: taken}", "do": "save"}
    await console.request("POST", "/config", data=form, headers=bearer(console, "mia") | {header: "*"})
    found = await console.kubernetes.find(CONFIGS, SYSTEM, "default")
    assert "taken" not in str(found)
    assert (found is not None) is is_there


async def test_what_is_missing_is_said_of_the_namespace_of_the_page(console: Console) -> None:
    answer = await console.request("GET", "/instances/team/absent/overview")
    assert answer.status_code == 404
    assert "namespace default" not in answer.text
    assert "parameter namespace" not in answer.text


async def test_yaml_shows_no_value_of_the_environment_in_what_was_applied_last(console: Console) -> None:
    demo = copy.deepcopy(console.instance())
    demo["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": '{"env": {"K": "s3cr3t"}}'}
    console.kubernetes.put(demo)
    assert "s3cr3t" not in (await console.request("GET", "/instances/default/demo/yaml")).text


@pytest.mark.parametrize("moment", ["10000-01-01T04:59:59Z", "9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"])
async def test_events_with_any_time_are_shown(console: Console, moment: str) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "reason": "Odd",
        "lastTimestamp": moment,
        "involvedObject": {"kind": "SympoziumInstance", "name": "demo"},
    }
    console.kubernetes.put(event)
    answer = await console.request("GET", "/instances/default/demo/events")
    assert answer.status_code == 200
    assert "Odd" in answer.text


async def test_numbers_that_are_none_are_refused_at_their_field(console: Console) -> None:
    for text in ("--5", "9" * 5000, "-", "5-"):
        answer = await console.request("POST", "/instances/default/demo/overview", data={"maxConcurrentRuns": text})
        assert answer.status_code < 500, text


async def test_nobody_sends_a_large_form_before_it_is_known(console: Console) -> None:
    answer = await console.http.post(
        "/login", data={"token": "x" * 50_000}, headers={"Sec-Fetch-Site": "same-origin", "Authorization": ""}
    )
    assert answer.status_code == 413


async def test_an_instance_that_cannot_be_read_has_pages_that_say_so(console: Console) -> None:
    odd = copy.deepcopy(console.instance())
    odd["metadata"] = {"name": "odd", "namespace": "default"}
    odd["spec"]["agents"]["default"]["maxTokens"] = "x"
    console.kubernetes.put(odd)
    tabs = ("overview", "yaml", "web-endpoint", "skills", "events", "pool", "chat")
    answers = [await console.request("GET", f"/instances/default/odd/{tab}") for tab in tabs]
    assert [answer.status_code for answer in answers] == [409, 200, 409, 200, 200, 409, 409]
    assert "cannot read spec.agents.default.maxTokens" in answers[0].text


async def test_yaml_of_what_is_not_there_makes_nothing_with_the_right_to_update(console: Console) -> None:
    grant(console.kubernetes, user_of("team", "mia"), "default", verbs=("get", "update"))
    text = "spec: {agents: {default: {model: m}}}"
    await console.request("POST", "/instances/default/made/yaml", data={"text": text}, headers=bearer(console, "mia"))
    assert await console.kubernetes.find(INSTANCES, "default", "made") is None


@pytest.mark.parametrize("spec", [{}, {"skills": [{"name": "s", "content": "c"}]}, {"parameters": [{"name": "p"}]}])
async def test_a_skill_pack_with_the_least_fields_has_a_page(console: Console, spec: Object) -> None:
    metadata = {"name": "least", "namespace": "default"}
    console.kubernetes.put(
        {"apiVersion": "sympozium.ai/v1alpha1", "kind": "SkillPack", "metadata": metadata, "spec": spec}
    )
    for path in ("/skills", "/skills/default/least", "/instances/default/demo/skills"):
        answer = await console.request("GET", path)
        assert answer.status_code in (200, 503), path


async def test_large_pages_are_compressed_beside_the_event_loop(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, threads, compress = threading.get_ident(), list[int](), gzip.compress

    def noted(*words: Any) -> bytes:
        threads.append(threading.get_ident())
        return compress(*words)

    monkeypatch.setattr(gzip, "compress", noted)
    for method in ("GET", "HEAD"):
        answer = await console.request(method, "/about", headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["content-length"]) < 5000
        assert ("What you may do" in answer.text) is (method == "GET")
    assert len(threads) == 2
    assert loop not in threads


async def test_a_conversation_shows_its_instance_to_those_alone_who_may_get_it(console: Console) -> None:
    console.kubernetes.put(run("w-1"))
    grant(console.kubernetes, user_of("team", "mia"), "default", verbs=("get",), plurals=("agentruns",))
    for path in ("0" * 32, "w-1", "w-1/request"):
        answer = await console.request("GET", f"/instances/default/demo/chat/{path}", headers=bearer(console, "mia"))
        assert answer.status_code == 403, path


@pytest.mark.parametrize("tab", ["overview", "pool", "skills", "web-endpoint", "yaml"])
async def test_a_form_shows_no_instance_to_those_who_may_change_it_alone(console: Console, tab: str) -> None:
    grant(console.kubernetes, user_of("team", "mia"), "default", verbs=("patch", "update"))
    headers = bearer(console, "mia")
    answer = await console.request("POST", f"/instances/default/demo/{tab}", data={"text": "{"}, headers=headers)
    assert answer.status_code == 403
    assert "may not get SympoziumInstance" in answer.text
