"""The agent platform API of the installation, on PostgreSQL and Valkey with three replicas, and a namespace as a tenant of it.

Admission policies let only the installation's own console start runs for callers, so the servers are in the namespace of the tests, and
the installation is upgraded to them meanwhile.
"""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx2
from tests.e2e.archives import AWAY, PASSWORD, POSTGRES, URL, Archive, postgres_server
from tests.e2e.conftest import LONGEST, Namespace, Object, authority, installed_with, responds, stored_server, until
from tests.e2e.consoles import Console

ROOT = Path(__file__).parents[2]
PLATFORM, PORT = "sympozium-platform", 8000
VALKEY = "valkey"
REPLICAS = 3
MODEL = "scripted:first"
"""Provider and name of the model that calls the first tool which it is offered (tests/fakes/model.py)."""


@dataclass(frozen=True)
class Platform:
    """The API, and one namespace as a tenant of it."""

    namespace: Namespace
    system: Namespace

    @cached_property
    def url(self) -> str:
        return f"http://{authority(self.system.get('service', PLATFORM)['spec']['clusterIP'], PORT)}"

    @cached_property
    def archive(self) -> Archive:
        """The servers of the namespace, as those of an archive."""
        return Archive(self.namespace, "postgresql", "")

    @cached_property
    def console(self) -> Console:
        return Console(self.system, self.namespace.name)

    def replicas(self) -> list[str]:
        """Addresses of the API's pods."""
        pods = self.system.list("pods", "-l", "app.kubernetes.io/component=console")
        return [f"http://{authority(pod['status']['podIP'], PORT)}" for pod in pods]

    def key(self, *scopes: str) -> str:
        """A new API key of the tenant."""
        body = {"name": f"key-{secrets.token_hex(3)}", "user": "ada", "scopes": list(scopes or ("tools:write",))}
        answer = self.console.asks("POST", "api-keys", json=body)
        assert answer.status_code == 201, answer.text
        key: str = answer.json()["key"]
        return key

    def token(self, key: str) -> str:
        """A token for a key, as soon as a replica knows it."""

        def issued() -> str | None:
            answer = httpx2.post(f"{self.url}/auth/token", headers={"x-api-key": key}, timeout=LONGEST)
            return answer.json()["token"] if answer.status_code == 200 else None

        return until(issued, within=10)

    def client(self) -> httpx2.Client:
        """A client with a key of its own, and so with limits of its own."""
        headers = {"Authorization": f"Bearer {self.token(self.key())}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=LONGEST)

    def command(self, *words: str, **variables: str) -> str:
        """What a command prints that is given the API's address and a new key."""
        environ = os.environ | {"API_URL": self.url, "API_KEY": self.key(), "MODEL": MODEL} | variables
        done = subprocess.run(words, env=environ, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def counter_away(self) -> Iterator[None]:
        """Without Valkey, which is killed by SIGKILL and loses what it has counted."""
        server = f"deployment/{VALKEY}"
        kill = "kill -KILL $(grep -lsx valkey-server /proc/[0-9]*/comm | cut -d / -f 3)"
        self.namespace.kubectl("exec", server, "--", "sh", "-c", f"touch {AWAY} && {kill}")
        try:
            yield
        finally:
            self.namespace.kubectl("exec", server, "--", "rm", AWAY)


def valkey_server() -> list[Object]:
    """A server that stays away as long as there is a file ``AWAY``."""
    container = {
        "image": os.environ["SYMPOZIUM_VALKEY_IMAGE"],
        "env": [{"name": "VALKEYCLI_AUTH", "value": PASSWORD}],
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    return stored_server(VALKEY, 6379, container)


def provider() -> Object:
    """The scripted model as a Provider of its namespace."""
    return {
        "apiVersion": "sympozium.ai/v1alpha1",
        "kind": "Provider",
        "metadata": {"name": MODEL.partition(":")[0]},
        "spec": {"type": "openai_compat", "apiBase": "http://model:8080/v1"},
    }


def prepare_walk(namespace: Namespace) -> None:
    """Give a namespace the walk's webhook, and a Provider of the scripted model."""
    namespace.apply(provider())
    namespace.kubectl("apply", "-f", str(ROOT / "examples/platform/tool-mock.yaml"))
    namespace.kubectl("rollout", "status", "deployment/tool-mock", "--timeout=3m")


def check_walk(printed: str) -> None:
    """Assert that a walk has called its tool, in a run and in a stream, and that the audit has all of it."""
    answers = [json.loads(line) for line in printed.splitlines() if line.startswith(("{", "["))]
    binding, run, runs, audit = answers
    assert binding["allowed_domains"] == ["tool-mock"]
    assert run["status"] == "succeeded", run
    assert "hello" in run["output_message"]
    assert [call["name"] for call in run["tools_called"]] == ["echo_tool"]
    assert run["total_tokens"] == run["prompt_tokens"] + run["completion_tokens"] > 0
    (began, started), (ended, result) = events(printed)
    assert (began, ended) == ("start", "result")
    assert [one["id"] for one in runs] == [started["run_id"], run["id"]]
    assert "hello" in json.dumps(result["output"])
    assert {entry["status"] for entry in audit} == {"succeeded"}


@contextmanager
def installed_platform(namespace: Namespace, system: Namespace) -> Iterator[Platform]:
    """Upgrade the installation to servers in a namespace, which gets the walk's webhook and a Provider of the scripted model too."""
    namespace.apply(*postgres_server(), *valkey_server())
    prepare_walk(namespace)
    for name in (POSTGRES, VALKEY):
        namespace.kubectl("rollout", "status", f"deployment/{name}", "--timeout=3m")
    values = (
        "archive.enabled=true",
        f"archive.url={URL.replace(f'@{POSTGRES}:', f'@{POSTGRES}.{namespace.name}.svc:')}",
        f"console.redis.url=redis://:{PASSWORD}@{VALKEY}.{namespace.name}.svc:6379",
        f"console.replicas={REPLICAS}",
    )
    with installed_with(*values):
        platform = Platform(namespace, system)
        # The console before the upgrade has no archive, and answers until it ends.
        until(lambda: len(system.list("pods", "-l", "app.kubernetes.io/component=console")) == REPLICAS, within=60)
        until(lambda: responds(f"{platform.url}/health"), within=30)
        with closing(platform.console.http):
            yield platform


def events(printed: str) -> Iterator[tuple[str, Object]]:
    """Names and data of the events among some lines."""
    name = ""
    for line in printed.splitlines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)
