"""The archive on a cluster, on both databases: runs are found after Kubernetes has forgotten them, each once, and nothing is lost."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import httpx2
import pytest
from tests.contract.documents import ROOT
from tests.e2e.archives import RELEASE, Archive, installed_archive, release_values, upgrade_release
from tests.e2e.conftest import Namespace, Object, Refused, agent_run, helm, instance, until
from tests.e2e.signals import signals

PRUNED = {"kept": 5, "shortestRetention": "1s", "keyRetention": "1s"}
"""Values by which ended runs are deleted from Kubernetes at once, but for five of each agent."""
KEPT = 5
PAGE = 500
AWAY_SECONDS = float(os.environ.get("SYMPOZIUM_TEST_AWAY", "20"))
"""Seconds for which the database is away; ``make soak`` takes ten minutes."""
AWAY_RATE, AWAY_BATCH = 2.0, 10
"""Ends of runs per second meanwhile, and how many come at once."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def archive(request: pytest.FixtureRequest, webproxy_image: str) -> Iterator[Archive]:
    with installed_archive(request.param, webproxy_image, PRUNED) as archive:
        yield archive


def content(archive: Archive, run: Object) -> Any:
    response = archive.http.get(f"/api/v1/history/{run['id']}")
    assert response.status_code == 200, response.text
    return response.json()["content"]


GUIDE = (ROOT / "docs/guides/history.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)


def by_the_guide(archive: Archive, agent: str, mark: str, **variables: str) -> list[Any]:
    """What the commands of the guide's block with this mark print, for another agent than the guide's."""
    [function] = [line for line in GUIDE.splitlines() if line.startswith("console() ")]
    [block] = [block for block in BLOCKS if mark in block]
    commands = block.replace("helper", agent).replace("namespace=default", f"namespace={archive.namespace.name}")
    environ = os.environ | {"CONSOLE": f"{archive.url}/api/v1", "TOKEN": archive.token} | variables
    script = f"{function}\n{commands}"
    printed = subprocess.check_output(["bash", "-euo", "pipefail", "-c", script], env=environ, text=True, timeout=300)
    answers = [json.loads(line) for line in printed.splitlines() if line]
    assert not [answer for answer in answers if isinstance(answer.get("error"), dict)]
    return answers


def test_history_and_audit_are_there_for_an_agent_that_is_gone(archive: Archive) -> None:
    body = {"spec": instance("passing")["spec"]}
    assert archive.asks("PUT", "instances/passing", json=body).status_code == 201
    archive.namespace.apply(agent_run("question", agentRef="passing", task="What is kept?"))
    answer = archive.namespace.run_ends("question")["result"]
    newest, usage = by_the_guide(archive, "passing", "order=newest")
    assert "question" in json.dumps(newest)
    assert usage
    by_the_guide(archive, "passing", "DELETE")
    until(lambda: not archive.namespace.kubectl("get", "instance", "passing", "--ignore-not-found"), within=30)
    archive.namespace.delete("run", "question")
    assert "question" not in archive.runs()

    run = until(lambda: archive.history(instance="passing").get("question"), within=10)
    assert run["status"] == "Succeeded"
    kept = json.dumps(content(archive, run))
    assert "What is kept?" in kept
    assert json.dumps(answer) in kept
    assert "What is kept?" not in json.dumps(run)

    history, of_failed = by_the_guide(archive, "passing", "status=Failed")
    assert [row["name"] for row in history["items"]] == ["question"]
    assert of_failed["items"] == []
    [whole] = by_the_guide(archive, "passing", "$ID", ID=run["id"])
    assert "What is kept?" in json.dumps(whole)
    changes, deletions = by_the_guide(archive, "passing", "/audit")
    assert [row["action"] for row in changes["items"]] == ["delete", "update"]
    assert {(row["actor"], row["outcome"]) for row in changes["items"]} == {("token", "done")}
    assert [row["status"] for row in deletions["items"]] in ([202], [204])


def test_the_user_of_a_key_is_in_the_audit(archive: Archive) -> None:
    key = archive.asks("POST", "api-keys", json={"name": "ci", "user": "ada", "scopes": ["operator.admin"]}).json()
    made = {"name": "of a key", "user": "ada", "scopes": ["operator.write"]}
    headers = {"Authorization": f"Bearer {key['key']}"}
    assert archive.asks("POST", "api-keys", json=made, headers=headers).status_code == 201
    [row] = archive.asks("GET", "audit", query={"actor": key["id"]}).json()["items"]
    assert (row["user"], row["kind"], row["action"], row["outcome"]) == ("ada", "APIKey", "create", "done")
    [runs] = by_the_guide(archive, "asked", "user=ada")
    assert runs["items"] == []  # only the console of the installation may start runs for a user


def test_a_run_that_is_deleted_while_it_works_is_archived_as_cancelled(archive: Archive) -> None:
    archive.namespace.apply(instance("slow", model="slow:300:100"))
    archive.namespace.apply(agent_run("working", agentRef="slow", task="count"))
    until(lambda: archive.namespace.status("run", "working").get("phase") == "Running", within=60)
    assert archive.asks("DELETE", "runs/working").status_code in (202, 204)
    until(lambda: "working" not in archive.runs(), within=30)
    run = until(lambda: archive.history(instance="slow").get("working"), within=10)
    assert run["status"] == "Cancelled"


def test_content_goes_when_a_run_is_discarded_after_it_was_archived(archive: Archive) -> None:
    archive.ends("discarded", agent="nobody-else")
    run = until(lambda: archive.history().get("discarded"), within=20)
    until(lambda: "asked discarded" in json.dumps(content(archive, run)), within=20)
    archive.namespace.kubectl("annotate", "run", "discarded", "sympozium.ai/discarded=true")
    until(lambda: "asked discarded" not in json.dumps(content(archive, run)), within=20)
    assert archive.history()["discarded"]["status"] == "Failed"


def test_a_console_that_is_killed_archives_each_run_once_before_it_is_pruned(
    archive: Archive, webproxy_image: str
) -> None:
    first, second = [{f"killed-{batch}-{number}" for number in range(20)} for batch in range(2)]
    names = first | second
    with signals(webproxy_image) as to:

        def kill() -> None:
            to.send("sympozium_console", f"SYMPOZIUM_NAMESPACE={archive.namespace.name}", "KILL")

        archive.ends(*first)
        kill()  # while it reads, commits and deletes
        archive.ends(*second)
        until(lambda: not missing(archive, names), within=60, why=lambda: missing(archive, names))
        kill()  # a console that starts prunes at once
    until(lambda: len(archive.runs() & names) <= KEPT, within=60, why=archive.runs)
    until(archive.is_ready, within=30)
    assert not missing(archive, names)


def test_another_console_continues_when_the_one_that_leads_is_killed(archive: Archive, webproxy_image: str) -> None:
    if archive.kind == "sqlite":
        pytest.skip("a file has one console")
    before, after = [{f"led-{batch}-{number}" for number in range(20)} for batch in range(2)]
    archive.serves()
    archive.ends(*before)
    leaders = {until(partial(archive.holder, lock), within=30) for lock in ("index", "archiver")}
    with signals(webproxy_image) as to:
        for leader in leaders:
            to.send("sympozium_console", f"HOSTNAME={leader}", "KILL")
    archive.ends(*after)
    until(lambda: not missing(archive, before | after), within=60, why=lambda: missing(archive, before | after))
    until(lambda: len(archive.runs() & (before | after)) <= KEPT, within=90, why=archive.runs)
    assert not missing(archive, before | after)


def test_a_rollback_over_a_migration_leaves_the_newer_console_serving(archive: Archive) -> None:
    if archive.kind == "sqlite":
        pytest.skip("a file's only console ends before the older one starts")
    revision = json.loads(helm("history", RELEASE, "--namespace", archive.namespace.name, "--output", "json"))[-1]
    values = release_values(archive.namespace, archive.kind, PRUNED)
    values["console"]["extraEnv"] = [{"name": "NEWER", "value": "yes"}]
    upgrade_release(archive.namespace, values)
    archive.serves()
    version = archive.sql("SELECT version_num FROM alembic_version")
    archive.sql("UPDATE alembic_version SET version_num = '9001'")  # as the newer version's migration does
    try:
        helm("rollback", RELEASE, str(revision["revision"]), "--namespace", archive.namespace.name)
        refusal = f"has schema version 9001, this version of Sympozium needs {version}"
        until(lambda: refusal in crashed(archive.namespace), within=60, why=lambda: crashed(archive.namespace))
        until(archive.is_ready, within=5)
        assert archive.asks("GET", "history").status_code == 200
    finally:
        archive.sql(f"UPDATE alembic_version SET version_num = '{version}'")  # as a restored backup
    archive.serves()


def crashed(namespace: Namespace) -> str:
    """What the consoles said that have ended and will be started again."""
    pods = namespace.list("pods", "-l", "app.kubernetes.io/component=console")
    ended = [
        pod["metadata"]["name"]
        for pod in pods
        for container in pod["status"].get("containerStatuses", [])
        if "terminated" in container["state"] or "terminated" in container.get("lastState", {})
    ]
    with suppress(Refused):  # the pod is gone, or its container is starting
        return "".join(namespace.kubectl("logs", pod, "--tail=5") for pod in ended)
    return ""


def missing(archive: Archive, names: set[str]) -> set[str]:
    """The runs that the archive has not, or all of them while its console or its database is starting."""
    with suppress(httpx2.TransportError):
        rows = list[str]()
        for offset in range(0, 20 * PAGE, PAGE):
            response = archive.asks("GET", "history", query={"instance": "asked", "limit": PAGE, "offset": offset})
            if response.status_code == 503:
                break
            page = [row["name"] for row in response.json()["items"]]
            rows += page
            if len(page) < PAGE:
                assert len(rows) == len(set(rows))
                return names - set(rows)
    return names


def test_nothing_is_pruned_while_the_database_is_away_and_everything_is_archived_later(archive: Archive) -> None:
    if archive.kind == "sqlite":
        pytest.skip("a file is away with its console only")
    names = set[str]()
    with archive.database_away():
        began = time.monotonic()
        while time.monotonic() < began + AWAY_SECONDS:
            some = [f"away-{len(names) + number}" for number in range(AWAY_BATCH)]
            archive.ends(*some)
            names.update(some)
            until(partial(run_ended, archive.namespace, some[-1]), within=60)
            time.sleep(max(0.0, began + len(names) / AWAY_RATE - time.monotonic()))
        assert archive.is_ready()
        for method, path in (("GET", "history"), ("DELETE", "runs/away-0")):
            response = archive.asks(method, path)
            assert response.status_code == 503, response.text
            assert int(response.headers["retry-after"]) > 0
        assert names <= archive.runs()
    later = 60 + len(names) / 10
    until(lambda: not missing(archive, names), within=later, why=lambda: missing(archive, names))
    until(lambda: len(archive.runs() & names) <= KEPT, within=90 + later, why=archive.runs)


def run_ended(namespace: Namespace, name: str) -> bool:
    return namespace.status("run", name).get("phase") == "Failed"


def test_a_namespace_full_of_runs_goes_when_it_is_deleted(archive: Archive) -> None:
    """The last test: nothing holds a run back, neither the archive nor its console, whose database goes too."""
    if archive.kind == "sqlite":
        pytest.skip("it takes a minute, in which Kubernetes waits for the pods of the namespace")
    archive.ends(*(f"full-{number}" for number in range(100)))
    archive.namespace.kubectl("delete", "instances", "--all", "--wait=false")
    Namespace("default").kubectl("delete", "namespace", archive.namespace.name, "--wait=false")
    until(lambda: not archive.runs(), within=60)
