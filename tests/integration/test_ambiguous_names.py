"""Names in a request that a model server may understand otherwise than the web-proxy that checked them."""

import json

import pytest
from tests.fakes.model import Model
from tests.fakes.pod import FakePod
from tests.integration.conftest import Proxy
from tests.integration.test_json_texts import members, post, run

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
