"""Limits of the callers of the management API."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from tests.fakes.callers import namespace_object
from tests.integration.console.conftest import DEMO, Console, error, serving

from sympozium_api.names import LABEL_TENANT_ID
from sympozium_api.rate_limit import CallRate
from sympozium_archive.database import Database
from sympozium_console.console_settings import CallerRates
from sympozium_http.forwarded import network

RATES = CallerRates(requests=CallRate(3, 60), runs=CallRate(1, 60), failed_sign_ins=CallRate(2, 60))
WRONG = {"Authorization": "Bearer wrong"}


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[Console]:
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    async with serving(tmp_path, database, rates=RATES) as console:
        (console.tokens / "token-other").write_text("other\n")
        yield console
    await database.close()


def counted(console: Console, limit: str) -> float | None:
    return console.context.metrics.registry.get_sample_value("sympozium_rate_limited_total", {"limit": limit})


async def test_a_caller_has_so_many_requests_in_a_window(limited: Console) -> None:
    answers = [await limited.request("GET", DEMO) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["2", "1", "0", "0"]
    refusal = error(answers[3], 429)
    assert (refusal["reason"], refusal["code"]) == ("TooManyRequests", "RATE_LIMITED")
    assert 1 <= int(answers[3].headers["retry-after"]) <= 60
    assert counted(limited, "requests") == 1


async def test_starts_of_runs_have_a_limit_of_their_own(limited: Console) -> None:
    start = {"agentRef": "absent", "task": "hello"}
    answers = [await limited.request("POST", "/api/v1/runs", json=start) for _ in range(2)]
    assert answers[0].status_code == 503  # no watch of runs runs here
    assert error(answers[1], 429)["message"] == "The limit of runs of a caller is reached: 1 in 60 s."
    assert (await limited.request("GET", DEMO)).status_code == 200
    assert counted(limited, "runs") == 1


async def test_another_caller_has_requests_of_its_own(limited: Console) -> None:
    for _ in range(4):
        await limited.request("GET", DEMO)
    other = await limited.request("GET", DEMO, headers={"Authorization": "Bearer other"})
    assert other.status_code == 200


async def test_users_of_one_name_in_two_tenants_have_requests_of_their_own(tmp_path: Path) -> None:
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    tenants = ("acme", "umbrella")
    keys = {name: {"tenant_id": name, "user_id": "ci", "scopes": ["operator.read"]} for name in tenants}
    async with serving(tmp_path, database, rates=RATES, auth_api_keys=json.dumps(keys)) as console:
        for name in tenants:
            console.kubernetes.put(namespace_object(name, **{LABEL_TENANT_ID: name}))
        key = [{"Authorization": f"Bearer {name}"} for name in tenants]
        answers = [await console.request("GET", "/api/v1/me", headers=key[0]) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert (await console.request("GET", "/api/v1/me", headers=key[1])).status_code == 200
    await database.close()


async def test_wrong_tokens_are_bounded_by_address_and_cost_the_right_ones_nothing(limited: Console) -> None:
    answers = [await limited.request("GET", DEMO, headers=WRONG) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 429, 429]
    assert answers[1].headers["www-authenticate"] == "Bearer"
    assert error(answers[2], 429)["message"] == "The limit of failed sign-ins is reached: 2 in 60 s."
    assert counted(limited, "failed_sign_ins") == 2
    assert (await limited.request("GET", DEMO)).status_code == 200


async def test_without_limits_nothing_is_counted(console: Console) -> None:
    answers: list[httpx2.Response] = [await console.request("GET", DEMO) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert "x-ratelimit-limit-requests" not in answers[0].headers


@pytest.mark.parametrize(
    ("address", "of"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_hosts_of_one_ipv6_network_count_as_one_address(address: str, of: str) -> None:
    assert network(address) == of
