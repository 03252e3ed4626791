"""Consoles with an archive of their own, for the runs of one namespace.

The cluster's operator serves the namespace. Of the release that is installed in it only the console runs: its operator and runs server
name a node that does not exist.
"""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx2
from tests.e2e.conftest import (
    LONGEST,
    Namespace,
    Object,
    agent_run,
    authority,
    helm,
    instance,
    model_server,
    responds,
    stored_server,
    until,
)

from sympozium_archive.dialects import lock_key

CONSOLE = "sympozium-console"
SECRET = "console-secrets"
RELEASE = "archive"
POSTGRES = "postgres"
PASSWORD = "of-a-test"
URL = f"postgresql+asyncpg://postgres:{PASSWORD}@{POSTGRES}:5432/postgres"
AWAY = "/data/away"
HOLDER = """SELECT host(client_addr) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32) | objid::bigint = {key}"""
"""The address of the client that has a lock."""
NOWHERE = {"nodeSelector": {"no-such-node": "true"}}


@dataclass(frozen=True)
class Archive:
    """The console of one namespace, with its database."""

    namespace: Namespace
    kind: str
    """``sqlite`` or ``postgresql``."""
    token: str

    @cached_property
    def url(self) -> str:
        service = self.namespace.get("service", CONSOLE)
        return f"http://{authority(service['spec']['clusterIP'], 8080)}"

    @cached_property
    def http(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=LONGEST)

    def asks(self, method: str, path: str, *, query: dict[str, Any] | None = None, **request: Any) -> httpx2.Response:
        params = {"namespace": self.namespace.name} | (query or {})
        return self.http.request(method, f"/api/v1/{path}", params=params, **request)

    def items(self, path: str, **query: Any) -> list[Object]:
        response = self.asks("GET", path, query=query)
        assert response.status_code == 200, response.text
        items: list[Object] = response.json()["items"]
        return items

    def history(self, **query: Any) -> dict[str, Object]:
        """Rows of the archive by the run's name: each run has one."""
        rows = self.items("history", **({"limit": 500} | query))
        names = [row["name"] for row in rows]
        assert len(names) == len(set(names))
        return dict(zip(names, rows, strict=True))

    def is_ready(self) -> bool:
        return responds(f"{self.url}/readyz")

    def serves(self) -> "Archive":
        self.namespace.kubectl("rollout", "status", f"deployment/{CONSOLE}", "--timeout=3m")
        until(self.is_ready, within=30)
        return self

    def ends(self, *names: str, agent: str = "asked") -> None:
        """Make runs that end at once and cost no pod: they name a field that this version does not support."""
        unsupported = [{"skillPackRef": "none"}]
        self.namespace.apply(
            *(agent_run(name, agentRef=agent, task=f"asked {name}", skills=unsupported) for name in names)
        )

    def runs(self) -> set[str]:
        """The runs that Kubernetes has."""
        names = self.namespace.kubectl("get", "runs", "-o", "jsonpath={.items[*].metadata.name}")
        return set(names.split())

    def sql(self, statement: str) -> str:
        """What psql prints of a statement's rows."""
        words = ("psql", "-h", "127.0.0.1", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-qtAc", statement)
        return self.namespace.kubectl("exec", f"deployment/{POSTGRES}", "--", *words).strip()

    def holder(self, lock: str) -> str:
        """The pod of the console that has a lock; empty if there is none."""
        address = self.sql(HOLDER.format(key=lock_key(lock)))
        pods = self.namespace.list("pods", "-l", "app.kubernetes.io/component=console")
        names = [pod["metadata"]["name"] for pod in pods if pod["status"].get("podIP") == address]
        return names[0] if names else ""

    def close(self) -> None:
        if "http" in self.__dict__:
            self.http.close()

    @contextmanager
    def database_away(self) -> Iterator[None]:
        """Without its PostgreSQL server, which is killed by SIGKILL and whose data stays."""
        server, kill = f"deployment/{POSTGRES}", 'kill -KILL "$(head -n 1 "$PGDATA/postmaster.pid")"'
        self.namespace.kubectl("exec", server, "--", "sh", "-c", f"touch {AWAY} && {kill}")
        try:
            yield
        finally:
            self.namespace.kubectl("exec", server, "--", "rm", AWAY)


def postgres_server() -> list[Object]:
    """A server that stays away as long as there is a file ``AWAY``."""
    container = {
        "image": os.environ["SYMPOZIUM_POSTGRES_IMAGE"],
        "env": [{"name": "PGPASSWORD", "value": PASSWORD}],
        "readinessProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1"]}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
    }
    return stored_server(POSTGRES, 5432, container)


def release_values(namespace: Namespace, kind: str, runs: Object) -> Object:
    """Values of a release that archives in this kind of database."""
    own = {
        "namespaces": [namespace.name],
        "operator": NOWHERE,
        "runsServer": NOWHERE,
        "egress": {"enabled": False},
        "console": {
            "tokenSecret": SECRET,
            "keysSecret": SECRET,
            "replicas": 2 if kind == "postgresql" else 1,
            "shutdownGrace": "20s",  # a namespace goes after half of its pods' grace period
        },
        "archive": {"enabled": True} | ({"url": URL} if kind == "postgresql" else {}),
        "runs": runs,
    }
    return {"images": json.loads(helm("get", "values", "sympozium", "--output", "json"))["images"]} | own


def upgrade_release(namespace: Namespace, values: Object) -> None:
    words = ("upgrade", "--install", RELEASE, "charts/sympozium", "--namespace", namespace.name, "--timeout", "3m")
    helm(*words, "--reset-values", "--values", "-", stdin=json.dumps(values))


@contextmanager
def installed_archive(kind: str, image: str, runs: Object) -> Iterator[Archive]:
    """A namespace with a model, the instance ``asked``, and a console that archives its runs, pruned by the values ``runs``."""
    namespace = Namespace(f"e2e-{secrets.token_hex(3)}")
    enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name, "labels": enforce}})
    token = secrets.token_hex(16)
    entries = {"token": token, "API_KEY_PEPPER": secrets.token_hex(32)}
    own = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": entries}
    archive = Archive(namespace, kind, token)
    try:
        namespace.apply(own, *model_server(image), instance("asked"))
        if kind == "postgresql":
            namespace.apply(*postgres_server())
        upgrade_release(namespace, release_values(namespace, kind, runs))
        namespace.kubectl("rollout", "status", "deployment/model", "--timeout=4m")
        yield archive.serves()
    except subprocess.CalledProcessError as error:
        raise AssertionError(error.stderr) from error
    finally:
        archive.close()
        namespace.remove()
