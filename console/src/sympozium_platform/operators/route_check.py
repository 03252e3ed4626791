"""``check``: every route once, on objects that the check makes and deletes. One line for each route."""

import json
import re
from collections.abc import Callable
from typing import Any

from sympozium_platform.operators.platform_client import Answer, PlatformClient

Write = Callable[[str], object]
"""Takes one line of output."""
_TITLE = "Route check"
_UNRESOLVABLE = "https://route-check.invalid/"
"""Endpoint of the tool, which no run calls."""
_OPTIONAL = {"/auth/test-token": 404, "/audit": 404}
"""Routes that an installation may have off, and their status then."""
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


class RouteCheck:
    """One check of an API. Ids of the objects that it made fill the routes' parameters."""

    def __init__(self, client: PlatformClient, write: Write) -> None:
        self._client = client
        self._write = write
        self._ids: dict[str, str] = {}
        self._called: set[tuple[str, str]] = set()
        self._documented: set[tuple[str, str]] = set()
        self._passed = self._failed = 0

    async def run(self, model: str | None) -> bool:
        """Call every route, write the result of each, and return True if all answered as they should.

        ``model`` is the agent's, as ``provider:model``; None: the installation's default.
        """
        await self._without_a_token()
        await self._objects({"model": model} if model else {})
        await self._runs()
        await self._keys()
        await self._call("GET", "/audit?resource_id={agent_id}")
        await self._removal()
        self._write(f"{self._passed} passed, {self._failed} failed")
        return not self._failed

    async def _without_a_token(self) -> None:
        for path in ("/health", "/health/db", "/docs", "/redoc"):
            await self._call("GET", path)
        document = await self._call("GET", "/openapi.json")
        self._report("POST", "/auth/token", 200, await self._client.sign_in())
        await self._call("GET", "/auth/test-token")
        self._documented = _routes(document.json()) if document else set()

    async def _objects(self, model: dict[str, str]) -> None:
        agent = {"name": _TITLE, "system_prompt": "Answer with one word.", **model}
        tool = {
            "name": _TITLE,
            "execution_type": "http_webhook",
            "endpoint": _UNRESOLVABLE,
            "input_schema": {"type": "object"},
        }
        for kind, body in (("agent", agent), ("tool", tool)):
            await self._call("POST", f"/{kind}s", 201, body, made=f"{kind}_id")
            await self._call("GET", f"/{kind}s?limit=1")
            await self._call("GET", f"/{kind}s/{{{kind}_id}}")
            await self._call("PUT", f"/{kind}s/{{{kind}_id}}", body={"name": f"{_TITLE} 2"})
        await self._call("POST", "/agents/{agent_id}/publish")
        binding = {"permission_scope": "read", "allowed_domains": ["route-check.invalid"]}
        await self._call("POST", "/agents/{agent_id}/tools/{tool_id}", 201, binding)
        await self._call("GET", "/agents/{agent_id}/tools")

    async def _runs(self) -> None:
        question = {"agent_id": self._ids.get("agent_id"), "input_message": "Say: ready"}
        for path in ("/runs", "/runs/stream"):
            await self._call("POST", path, body=question, made="run_id", needs="agent_id")
        await self._call("GET", "/runs?limit=1")
        await self._call("GET", "/runs/{run_id}")

    async def _keys(self) -> None:
        await self._call("POST", "/api-keys", 201, {"scopes": ["tools:read"]}, made="key_id")
        await self._call("GET", "/api-keys")
        await self._call("DELETE", "/api-keys/{key_id}", 204)

    async def _removal(self) -> None:
        await self._call("DELETE", "/agents/{agent_id}/tools/{tool_id}", 204)
        await self._call("DELETE", "/tools/{tool_id}", 204)
        await self._call("DELETE", "/agents/{agent_id}", 204)
        for method, route in sorted(self._documented - self._called):
            self._line("FAIL", method, route, "was not called: this check is older than the installation")

    async def _call(
        self, method: str, route: str, expected: int = 200, body: Any = None, *, made: str = "", needs: str = ""
    ) -> Answer | None:
        """Call a route, and report it. ``made`` is the parameter that gets the answer's id, ``needs`` one more that must be there."""
        wanted = [*re.findall(r"{(\w+)}", route), *([needs] if needs else [])]
        if missing := [name for name in wanted if name not in self._ids]:
            self._called.add((method, _shape(route)))
            self._line("FAIL", method, route, f"was not called, because there is no {missing[0]}")
            return None
        answer = await self._client.request(method, route.format(**self._ids), body)
        self._report(method, route, expected, answer)
        match answer.json():
            case {"id": str(made_id)} if made and answer.status == expected:
                self._ids[made] = made_id
        return answer

    def _report(self, method: str, route: str, expected: int, answer: Answer) -> None:
        self._called.add((method, _shape(route)))
        took = f"{answer.status} {1000 * answer.seconds:6.0f} ms"
        if answer.status == expected:
            self._line("ok", method, route, f"{took}{_run_failure(answer)}")
        elif answer.status == _OPTIONAL.get(_shape(route)):
            self._line("off", method, route, took)
        else:
            self._line("FAIL", method, route, f"{took}, not {expected}: {answer.message}")

    def _line(self, result: str, method: str, route: str, details: str) -> None:
        if result == "FAIL":
            self._failed += 1
        else:
            self._passed += 1
        self._write(f"{result:<5}{method:<7}{route.partition('?')[0]:<36}{details}")


def _run_failure(answer: Answer) -> str:
    """Return why a run failed whose route answered as it should; empty for all other answers."""
    event = re.search(r"^event: error\r?\ndata: (.*)$", answer.text, re.MULTILINE)
    match json.loads(event[1]) if event else answer.json():
        case {"status": "failed", "error_message": str(message)} | {"error": str(message)}:
            return f", but the run failed: {message}"
    return ""


def _shape(route: str) -> str:
    """Return a route without its query and the names of its parameters."""
    return re.sub(r"{\w+}", "{}", route.partition("?")[0])


def _routes(document: Any) -> set[tuple[str, str]]:
    paths = document.get("paths", {}) if isinstance(document, dict) else {}
    return {
        (method.upper(), _shape(path)) for path, methods in paths.items() for method in methods if method in _METHODS
    }
