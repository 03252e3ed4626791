import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
import yaml
from tests.fakes.kubernetes import FakeKubernetes
from tests.integration.cli.conftest import Plugin, agent_run

from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import RUNS
from sympozium_api.run_status import Phase
from sympozium_cli import app
from sympozium_cli.cluster import Cluster
from sympozium_cli.commands import runs as runs_command
from sympozium_cli.commands.runs import Filters
from sympozium_cli.new_runs import repeated
from sympozium_cli.output import Format

FAILED = {"phase": "Failed", "error": {"type": "timeout", "message": "too long", "httpStatus": 504}}
HOSTILE = "\x1b[31mred\x1b]0;title\x07 \x9b2J\u202egnp.exe"


def at(minutes: int) -> dict[str, str]:
    moment = datetime.now(UTC) - timedelta(minutes=minutes)
    return {"creationTimestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}


@pytest.fixture(autouse=True)
def runs(kubernetes: FakeKubernetes) -> None:
    kubernetes.put(agent_run("old", metadata=at(90), status={"phase": "Succeeded", "result": HOSTILE}))
    kubernetes.put(agent_run("new", metadata=at(1)))
    kubernetes.put(agent_run("bad", metadata=at(30), status=FAILED, agentRef="other"))
    kubernetes.put(agent_run("assistant-web-endpoint", metadata=at(200), mode="server", status={"phase": "Serving"}))


def test_runs_are_listed_the_newest_first(plugin: Plugin) -> None:
    title, *rows = plugin("runs").out.splitlines()
    assert title.split() == ["NAME", "INSTANCE", "PHASE", "QUEUE", "START", "TOKENS", "DURATION", "AGE"]
    assert [row.split()[0] for row in rows] == ["new", "bad", "old", "assistant-web-endpoint"]
    assert "Failed (timeout)" in rows[1]
    assert plugin("runs", "-A").out.startswith("NAMESPACE")
    assert " SOURCE " in plugin("runs", "-o", "wide").out


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--instance", "other"], ["bad"]),
        (["--phase", "Pending"], ["new"]),
        (["--phase", "Serving"], ["assistant-web-endpoint"]),
        (["--since", "1h"], ["new", "bad"]),
        (["--since", "1h", "-i", "assistant"], ["new"]),
        ([], ["new", "bad", "old", "assistant-web-endpoint"]),
    ],
)
def test_filters_select_and_names_are_names(filters: list[str], expected: list[str], plugin: Plugin) -> None:
    assert plugin("runs", "-o", "name", *filters).out.split() == [f"agentrun.sympozium.ai/{name}" for name in expected]


def test_the_terminal_ui_is_refused_without_a_terminal(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    async def opened(*_: object, **__: object) -> None: ...

    monkeypatch.setattr("sympozium_cli.tui.app.show", opened)
    done = plugin("tui")
    assert (done.code, done.out) == (2, "")
    assert "needs a terminal" in done.err


def test_objects_come_as_kubectls_list_and_act_on_no_terminal(plugin: Plugin) -> None:
    for form, parse in (("json", json.loads), ("yaml", yaml.safe_load)):
        out = plugin("runs", "-o", form).out
        assert not set(out) & {"\x1b", "\x9b", "\x07", "\u202e"}
        found = parse(out)
        assert (found["apiVersion"], found["kind"]) == ("v1", "List")
        assert [item["metadata"]["name"] for item in found["items"]] == ["new", "bad", "old", "assistant-web-endpoint"]
        assert {item["kind"] for item in found["items"]} == {"AgentRun"}
        assert found["items"][2]["status"]["result"] == HOSTILE


def test_nothing_there_is_said_with_the_next_step_and_is_no_data(plugin: Plugin) -> None:
    done = plugin("runs", "-n", "empty")
    assert (done.code, done.out) == (0, "")
    assert "No runs in namespace empty. Make one: " in done.err
    assert "that the filters select" in plugin("runs", "--since", "1s").err
    assert json.loads(plugin("runs", "-n", "empty", "-o", "json").out)["items"] == []


def test_words_that_do_not_fit_are_a_wrong_usage(plugin: Plugin) -> None:
    for words in (["--since", "yesterday"], ["--phase", "Odd"], ["-o", "xml"], ["--nothing"]):
        assert plugin("runs", *words).code == 2
    assert plugin("nothing").code == 2
    assert set(get_args(app.Phase)) == set(get_args(Phase))


def test_an_api_server_that_is_away_has_an_exit_code_of_its_own(plugin: Plugin, kubernetes: FakeKubernetes) -> None:
    for words in (["runs"], ["runs", "-w"], ["runs", "-o", "json"]):
        kubernetes.refuse("list", RUNS, ApiUnavailable("connection refused"))
        done = plugin(*words)
        assert (done.code, done.out) == (3, "")
        assert "connection refused" in done.err


@pytest.mark.parametrize("form", [Format.TABLE, Format.NAME])
async def test_changes_are_printed_once_each(
    form: Format, kubernetes: FakeKubernetes, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster(kubernetes, "default", "test")
    following = asyncio.create_task(runs_command.run(cluster, form, Filters("assistant"), follow=True))
    printed = list[str]()

    async def until_printed(name: str) -> None:
        async with asyncio.timeout(60):
            while not any(name in line for line in printed):
                await asyncio.sleep(0.01)
                printed.extend(capsys.readouterr().out.splitlines())

    await until_printed("assistant-web-endpoint")
    assert [line for line in printed if "old" in line] == [printed[2 if form.is_table else 1]]
    printed.clear()
    kubernetes.put(agent_run("new", metadata=at(1), status={"phase": "Running"}))
    kubernetes.put(agent_run("newer", metadata=at(0)))
    await until_printed("newer")
    assert [line.split()[0].removeprefix("agentrun.sympozium.ai/") for line in printed] == ["new", "newer"]
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


def test_a_run_is_cancelled_unless_it_has_ended_or_is_a_web_endpoint(
    plugin: Plugin, kubernetes: FakeKubernetes
) -> None:
    assert plugin("cancel", "new").out == "agentrun.sympozium.ai/new cancelled\n"
    assert kubernetes.object(RUNS, "new")["spec"]["cancel"] is True
    assert "has ended already: Failed" in plugin("cancel", "bad").err
    done = plugin("cancel", "assistant-web-endpoint")
    assert (done.code, "kubectl sympozium disable assistant" in done.err) == (1, True)


def test_a_repeated_run_has_the_question_and_nothing_else_of_the_first(
    plugin: Plugin, kubernetes: FakeKubernetes
) -> None:
    first = agent_run("asked", request={"messages": []}, sessionKey="s", timeout="5m", cancel=True)
    kubernetes.put(first)
    name = plugin("repeat", "asked", "-o", "name").out.strip().removeprefix("agentrun.sympozium.ai/")
    assert kubernetes.object(RUNS, name)["spec"] == {
        "agentRef": "assistant",
        "mode": "task",
        "request": {"messages": []},
        "timeout": "5m",
        "cancel": False,
    }
    assert plugin("repeat", "assistant-web-endpoint").code == 1
    with pytest.raises(ValueError, match="longer than a run holds"):
        repeated(agent_run("long", requestText={"parts": 3}))


def test_a_pipe_that_is_closed_early_is_no_error() -> None:
    """With a kubeconfig nobody answers at, so that the help is what fills the pipe."""
    script = f"{sys.executable} -m sympozium_cli runs --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=os.environ.copy())
    assert (done.returncode, done.stderr) == (0, "")


def test_help_needs_no_library_of_the_commands() -> None:
    script = (
        "import sys, time\nfrom sympozium_cli.app import run\nrun(['--help'])\n"
        "heavy = {'aiohttp', 'pydantic', 'textual', 'rich', 'yaml', 'structlog'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path("/"))
    assert done.stderr == "[]\n"
    assert "enable" in done.stdout
