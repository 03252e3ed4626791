"""The guide of the agent platform API, followed word by word on the installation of the demo: SQLite alone, no archive."""

import json
import sys
from pathlib import Path

import pytest
from tests.e2e.conftest import Namespace
from tests.e2e.platforms import MODEL, events, provider
from tests.e2e.test_readme import Shell, blocks

GUIDE = "docs/guides/platform.md"
FORWARDED = "\n".join(
    f"until curl -s -o /dev/null http://127.0.0.1:{port}/; do sleep 0.2; done" for port in (18000, 18090)
)
"""What a person waits for before the next command."""


@pytest.fixture(scope="module")
def printed(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Lines of all commands but those of an archive, with a model that calls tools in the place of the demo's."""
    folder = tmp_path_factory.mktemp("shell")
    shell = Shell(folder, namespace.kubeconfig(folder))
    namespace.apply(provider())
    switch, forwards, key, objects, *walk, lists, check = blocks(GUIDE)
    assert switch.startswith("helm upgrade ")
    assert objects.endswith("export MODEL=local:smollm2\n")
    runs, audit = lists.splitlines()
    assert audit == 'api "$API_URL/audit?limit=10"'
    python = f"PATH={Path(sys.executable).parent}:$PATH"
    return shell(python, forwards, FORWARDED, key, objects, f"MODEL={MODEL}", *walk, runs, check).splitlines()


def test_the_walk_of_the_guide_ends_with_a_called_tool(printed: list[str]) -> None:
    _, run, runs = [json.loads(line) for line in printed if line.startswith(("{", "["))]
    assert run["status"] == "succeeded"
    assert "hello" in run["output_message"]
    assert [call["name"] for call in run["tools_called"]] == ["echo_tool"]
    assert len(runs) == 2
    assert {one["tenant_id"] for one in runs} == {run["tenant_id"]}
    (_, started), (name, result) = events("\n".join(printed))
    assert (started["run_id"], name) == (runs[0]["id"], "result")
    assert "hello" in json.dumps(result["output"])


def test_the_check_of_the_guide_passes(printed: list[str]) -> None:
    assert printed[-1].endswith(" 0 failed")
