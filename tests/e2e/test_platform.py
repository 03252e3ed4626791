"""The agent platform API on a cluster, with three replicas on PostgreSQL and Valkey: the walk, limits, outages, and a restore."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import cycle

import httpx2
import pytest
from tests.e2e.conftest import Namespace, Object, until
from tests.e2e.platforms import MODEL, Platform, check_walk, installed_platform

from sympozium_api import names

LIMIT = 100
"""Requests of a key in any minute, by default."""
OF_LIMIT = 1.0
"""Seconds between two requests of one who looks again and again, and stays below the limit however long that takes."""
ENDED = ("succeeded", "failed")
OBJECTS = "instances,tools,toolbindings"
MADE_HERE = ("-l", names.LABEL_ID)
"""Selector of what was made through the API. The namespace has more, which other tests use; its ids are UIDs, and do not last."""
VERSIONS = ("controllerrevisions", "-l", f"{names.MANAGED_BY}=sympozium-console")
OF_THIS_CLUSTER = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "ownerReferences")
"""Metadata that a backup leaves out."""


pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def platform(namespace: Namespace, system: Namespace) -> Iterator[Platform]:
    with installed_platform(namespace, system) as platform:
        yield platform


@pytest.fixture(scope="module")
def walked(platform: Platform) -> str:
    """What the walk printed."""
    return platform.command("examples/platform/walk.sh")


@pytest.fixture
def http(platform: Platform) -> Iterator[httpx2.Client]:
    with platform.client() as client:
        yield client


def agent(http: httpx2.Client, **fields: str) -> str:
    """The id of a new published agent."""
    answer = http.post("/agents", json={"name": "Asked", "model": MODEL, "status": "published"} | fields)
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    return made


def test_the_walk_calls_the_tool_and_is_in_the_audit(walked: str, http: httpx2.Client) -> None:
    check_walk(walked)
    for action in ("tool.create", "agent.create", "binding.create", "run.create", "run.stream"):
        assert http.get(f"/audit?action={action}").json(), action


def test_the_operators_check_finds_every_route_well(platform: Platform) -> None:
    printed = platform.command(sys.executable, "-m", "sympozium_platform", "check", platform.url, "--model", MODEL)
    assert printed.splitlines()[-1].endswith(" 0 failed")


def test_a_keys_limit_holds_over_all_replicas_and_runs_have_their_own(platform: Platform, http: httpx2.Client) -> None:
    replicas = platform.replicas()
    assert len(replicas) == 3
    began = time.monotonic()
    left = int(http.get("/agents").headers["x-ratelimit-remaining-requests"])
    assert left > LIMIT / 2
    with ThreadPoolExecutor(10) as pool:
        addresses = [address for _, address in zip(range(LIMIT + 50), cycle(replicas), strict=False)]
        answers = list(pool.map(lambda address: http.get(f"{address}/agents"), addresses))
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) == {200, 429}
    if time.monotonic() - began < 60:
        assert counts[200] == left
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(0 < int(answer.headers["retry-after"]) <= 60 for answer in refused)
    nobody = {"agent_id": "00000000-0000-4000-8000-000000000000", "input_message": "hello"}
    assert http.post("/runs", json=nobody).status_code == 404


@pytest.mark.parametrize("away", ["database", "valkey"])
def test_no_run_is_lost_while_the_database_or_the_counter_is_away(
    platform: Platform, http: httpx2.Client, away: str
) -> None:
    """Runs that go on meanwhile end as usual, and those that are accepted meanwhile too; each is in the list once."""
    asked = agent(http, model="scripted:slow:60:100")

    def starts(pool: ThreadPoolExecutor) -> list[Future[httpx2.Response]]:
        body = {"agent_id": asked, "input_message": "count"}
        return [pool.submit(http.post, "/runs", json=body) for _ in range(3)]

    with ThreadPoolExecutor(6) as pool:
        before = starts(pool)
        until(lambda: started(http, asked) >= len(before), within=60, every=OF_LIMIT)
        with platform.archive.database_away() if away == "database" else platform.counter_away():
            meanwhile = starts(pool)
            answers = [future.result() for future in (*before, *meanwhile)]
    accepted = [answer.json() for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 503}, [answer.text for answer in answers]
    assert [run["status"] for run in accepted] == ["succeeded"] * len(accepted), accepted
    assert len(accepted) >= len(before)
    until(lambda: http.get("/health/db").status_code == 200, within=30, every=OF_LIMIT)
    listed = until(lambda: whole_list(http, asked, len(accepted)), within=60, every=OF_LIMIT)
    assert Counter(run["id"] for run in listed) == Counter(run["id"] for run in accepted)
    assert all(http.get(f"/runs/{run['id']}").json()["output_message"] for run in accepted)


def started(http: httpx2.Client, asked: str) -> int:
    runs = http.get("/runs?limit=200").json()
    return sum(run["agent_id"] == asked and run["status"] != "queued" for run in runs)


def whole_list(http: httpx2.Client, asked: str, count: int) -> list[Object] | None:
    """The runs of an agent, once all of them are there and have ended."""
    answer = http.get("/runs?limit=200")
    if answer.status_code != 200:
        return None
    runs = [run for run in answer.json() if run["agent_id"] == asked]
    return runs if len(runs) >= count and all(run["status"] in ENDED for run in runs) else None


def test_objects_that_are_restored_under_new_uids_answer_to_their_old_ids(
    platform: Platform, http: httpx2.Client, walked: str
) -> None:
    namespace = platform.namespace
    made = json.loads(namespace.kubectl("get", OBJECTS, *MADE_HERE, "-o", "json"))["items"]
    ids = {item["metadata"]["labels"][names.LABEL_ID] for item in made}
    uids = {item["metadata"]["uid"] for item in made}
    before = lists(http, platform.url, ids)
    [echo] = [one for one in before["agents"] if one["name"] == "Echo"]
    bindings = http.get(f"/agents/{echo['id']}/tools").json()
    assert len(bindings) == 1
    backup = [*made, *namespace.list(*VERSIONS)]
    for item in backup:
        item.pop("status", None)
        item["metadata"] = {key: value for key, value in item["metadata"].items() if key not in OF_THIS_CLUSTER}
    namespace.kubectl("delete", OBJECTS, *MADE_HERE)
    until(lambda: not namespace.list(*VERSIONS), within=60)
    namespace.kubectl("create", "-f-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": backup}))

    assert uids.isdisjoint(item["metadata"]["uid"] for item in namespace.list("instances"))
    for replica in platform.replicas():
        with closing(platform.client()) as other:
            again = partial(lists, other, replica, ids)
            until(lambda again=again: again() == before, within=30, every=2 * OF_LIMIT, why=again)  # type: ignore[misc]
            assert other.get(f"{replica}/agents/{echo['id']}").json() == echo
            assert other.get(f"{replica}/agents/{echo['id']}/tools").json() == bindings
    body = {"agent_id": echo["id"], "input_message": "Echo the word hello using the tool"}

    def echoed() -> Object | None:
        run: Object = http.post("/runs", json=body).json()
        return run if run.get("tools_called") else None

    assert "hello" in until(echoed, within=60)["output_message"]
    runs = [run for run in http.get("/runs?limit=200").json() if run["agent_id"] == echo["id"]]
    assert runs[-1]["status"] == "succeeded"  # the walk's
    with closing(platform.client()) as other:
        assert other.delete(f"/agents/{echo['id']}").status_code == 204
        assert other.get(f"/agents/{echo['id']}").status_code == 404
        assert [run for run in other.get("/runs").json() if run["agent_id"] == echo["id"]]


def lists(http: httpx2.Client, replica: str, ids: set[str]) -> Object:
    """What a replica lists of the agents and tools with these ids, or how it refuses to."""
    answers = {kind: http.get(f"{replica}/{kind}") for kind in ("agents", "tools")}
    return {
        kind: [one for one in answer.json() if one["id"] in ids] if answer.is_success else answer.text
        for kind, answer in answers.items()
    }
