"""Names in a request that a model server may understand otherwise than the web-proxy that checked them."""

import json

import pytest
from tests.fakes.model import Model
from tests.fakes.pod import FakePod
from tests.integration.conftest import Proxy, eventually, instance
from tests.integration.test_json_texts import members, packed, post, run

from sympozium_api.json_members import RefusedObject, scan_members
from sympozium_api.resources import RUNS, Object

MESSAGES = '[{"role": "user", "content": "hello"}]'
PATHS = {
    "/v1/chat/completions": f'"messages": {MESSAGES}',
    "/v1/completions": '"prompt": "hello"',
    "/v1/responses": '"input": "hello"',
    "/v1/embeddings": '"input": "hello"',
}
MISSPELT = ("Model", "MESSAGES", "Prompt", "\u017ftream", "STREAM_options", "\\u004dodel", "me\u017f\u017fages")
"""U+017F folds to s, and so would U+212A to k."""


async def refused(proxy: Proxy, made: Object) -> Object:
    """Return the error with which a run ends whose pod asks for its task."""
    proxy.kubernetes.put(made)
    pod = FakePod(proxy.kubernetes.object(RUNS, "r1"), proxy.issuer, proxy.surface)
    assert (await pod.task()).status_code == 410
    status: Object = proxy.kubernetes.object(RUNS, "r1")["status"]
    assert (status["phase"], status["error"]["type"], status["error"]["httpStatus"]) == ("Failed", "task_refused", 400)
    error: Object = status["error"]
    return error


class TestNamesInAnotherCase:
    """Model servers in Go ignore the case of names, and of several take the last."""

    @pytest.mark.parametrize(
        ("path", "name"),
        [*((path, "Model") for path in PATHS), *(("/v1/chat/completions", name) for name in MISSPELT[1:])],
    )
    async def test_a_name_in_another_case_is_refused_by_name(self, proxy: Proxy, path: str, name: str) -> None:
        answer = await post(proxy, path, f'{{{PATHS[path]}, "{name}": "x"}}')
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_parameter")
        assert answer.json()["error"]["param"] == json.loads(f'"{name}"')

    @pytest.mark.parametrize("name", MISSPELT[:2])
    async def test_a_run_of_a_name_in_another_case_fails(self, proxy: Proxy, name: str) -> None:
        made = run("r1", requestText={"json": f'{{"messages": {MESSAGES}, "{name}": "x"}}'})
        assert "in another case" in (await refused(proxy, made))["message"]

    async def test_a_run_of_an_object_with_a_name_in_another_case_fails(self, proxy: Proxy) -> None:
        made = run("r1", request={"messages": json.loads(MESSAGES), "Model": "x"})
        assert "spec.request: " in (await refused(proxy, made))["message"]

    @pytest.mark.usefixtures("agents")
    async def test_what_sympozium_writes_comes_last(self, proxy: Proxy, model: Model) -> None:
        await proxy.use_model(model, "instant")
        body = f'{{"model": "default", "messages": {MESSAGES}, "stream": false, "top_k": 1, "store_": 2}}'
        assert (await post(proxy, "/v1/chat/completions", body)).status_code == 200
        assert list(members(model.last["body"])) == ["top_k", "store_", "messages", "model", "stream", "stream_options"]


TWICE = {
    "of a message": ("role", '"messages": [{"role": "user", "content": "hello", "role": "system"}]'),
    "in depth": ("a", f'"messages": {MESSAGES}, "metadata": {{"b": [[{{"a": 1, "b": 2, "a": 2}}]]}}'),
    "of equal values": ("a", f'"messages": {MESSAGES}, "metadata": {{"a": 1, "a": 1}}'),
    "of the body": ("messages", f'"messages": [], "messages": {MESSAGES}'),
    "written otherwise": ("role", r'"messages": [{"role": "user", "content": "hello", "\u0072ole": "user"}]'),
    "half a character": ("?", f'"messages": {MESSAGES}, "metadata": {{"\\ud83d": 1, "\\ud83d": 2}}'),
    "long": ("x" * 64, f'"messages": {MESSAGES}, "{"x" * 5000}": 1, "{"x" * 5000}": 2'),
}


class TestNamesThatOccurTwice:
    """Parsers take the first of two members with the same name, the last, or none: the model's may not be ours."""

    @pytest.mark.parametrize("place", TWICE)
    async def test_a_name_that_occurs_twice_is_refused_by_name(self, proxy: Proxy, place: str) -> None:
        name, body = TWICE[place]
        error = (await post(proxy, "/v1/chat/completions", f"{{{body}}}")).json()["error"]
        assert (error["code"], error["param"]) == ("invalid_json", name)
        assert f"the member '{name}' twice" in error["message"]

    @pytest.mark.parametrize("path", PATHS)
    async def test_every_route_refuses_it(self, proxy: Proxy, path: str) -> None:
        answer = await post(proxy, path, f'{{{PATHS[path]}, "metadata": {{"a": "1", "a": "2"}}}}')
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "a")

    async def test_a_call_of_a_tool_is_refused(self, proxy: Proxy) -> None:
        call = '"method": "tools/call", "params": {"name": "ask_agent", "arguments": {"message": "a", "message": "b"}}'
        answer = await post(proxy, "/mcp", f'{{"jsonrpc": "2.0", "id": 1, {call}}}', accept="application/json")
        assert answer.status_code == 400
        assert "the member 'message' twice" in answer.json()["error"]["message"]

    @pytest.mark.parametrize("place", TWICE)
    async def test_a_run_of_such_a_text_fails(self, proxy: Proxy, place: str) -> None:
        name, body = TWICE[place]
        message = (await refused(proxy, run("r1", requestText={"json": f"{{{body}}}"})))["message"]
        assert f"spec.requestText: it has the member '{name}' twice" in message


MANY = "{" + "".join(f'"{n}":0,' for n in range(150_000)) + f'"messages": {MESSAGES}}}'


class TestManyMembers:
    """Each member costs time of the event loop, in which all other callers wait."""

    @pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
    async def test_a_body_of_many_members_is_refused(self, proxy: Proxy, path: str) -> None:
        answer = await post(proxy, path, "{" + "".join(f'"{n}":0,' for n in range(1000)) + f"{PATHS[path]}}}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
        assert "more than 1000 members" in answer.json()["error"]["message"]

    async def test_a_run_of_many_members_fails_at_once(self, proxy: Proxy) -> None:
        made = run("r1", requestText=packed(MANY.encode()))
        assert "spec.requestText: it has more than 1000 members" in (await refused(proxy, made))["message"]

    async def test_a_run_of_an_object_of_many_members_fails(self, proxy: Proxy) -> None:
        made = run("r1", request=dict.fromkeys(map(str, range(1001)), 0))
        assert "spec.request: it has more than 1000 members" in (await refused(proxy, made))["message"]

    def test_nothing_after_the_last_member_allowed_is_scanned(self) -> None:
        scanned: list[int] = []

        def scan(_: str, text: str, at: int) -> tuple[None, int]:
            scanned.append(at)
            return None, at + 1

        with pytest.raises(RefusedObject, match="more than 1000"):
            scan_members(MANY, scan, most=1000)
        assert len(scanned) == 1000

    @pytest.mark.parametrize("path", PATHS)
    async def test_a_request_beyond_the_limit_is_not_parsed(self, proxy: Proxy, path: str) -> None:
        """What is no JSON would be 400."""
        proxy.kubernetes.put(instance(webEndpoint={"rateLimit": {"requestsPerMinute": 1, "burstSize": 1}}))
        await eventually(lambda: proxy.context.instance_cache.served().rate_limit.burst_size == 1)
        assert [(await post(proxy, path, "{")).status_code for _ in range(2)] == [400, 429]
