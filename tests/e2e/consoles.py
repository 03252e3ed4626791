"""The console of the installation, asked about one namespace."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import LONGEST, Namespace, Object, authority


class Console:
    """The console, asked about one namespace."""

    def __init__(self, system: Namespace, namespace: str) -> None:
        service = system.get("service", "sympozium-console")
        self.namespace = namespace
        self.url = f"http://{authority(service['spec']['clusterIP'], 8080)}"
        self.http = httpx2.Client(base_url=self.url, timeout=LONGEST)
        self.use_token(system)

    def use_token(self, system: Namespace, secret: str = "sympozium-console-token") -> str:
        token = base64.b64decode(system.get("secret", secret)["data"]["token"]).decode()
        self.http.headers["Authorization"] = f"Bearer {token}"
        return token

    def asks(self, method: str, path: str, *, query: dict[str, str] | None = None, **request: Any) -> httpx2.Response:
        params = {"namespace": self.namespace} | (query or {})
        return self.http.request(method, f"/api/v1/{path}", params=params, **request)

    def get(self, path: str, **query: str) -> Object:
        response = self.asks("GET", path, query=query)
        assert response.status_code == 200, response.text
        found: Object = response.json()
        return found

    def refuses(self, status: int, method: str, path: str, **request: Any) -> Object:
        response = self.asks(method, path, **request)
        assert response.status_code == status, response.text
        found: Object = response.json()["error"]
        return found

    def follow(self, run: str, **query: str) -> Iterator[tuple[str, Object]]:
        """Type and data of the events of a run."""
        path, params = f"/api/v1/runs/{run}/events", {"namespace": self.namespace} | query
        with self.http.stream("GET", path, params=params, timeout=LONGEST) as response:
            assert response.status_code == 200
            kind = ""
            for line in response.iter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    kind = value
                if field == "data":
                    yield kind, json.loads(value)


@pytest.fixture(scope="module")
def console(system: Namespace, namespace: Namespace) -> Iterator[Console]:
    found = Console(system, namespace.name)
    yield found
    found.http.close()
