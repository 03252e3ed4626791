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


MANY = "{" + '"":0,' * 400_000 + f'"messages": {MESSAGES}}}'


class TestManyMembers:
    """Each member costs time of the event loop, in which all other callers wait."""

    @pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
    async def test_a_body_of_many_members_is_refused(self, proxy: Proxy, path: str) -> None:
        answer = await post(proxy, path, "{" + '"":0,' * 1000 + f"{PATHS[path]}}}")
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
