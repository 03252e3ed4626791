"""The longest body of a request: the chart's limit, or a smaller one of the instance."""

import json

import httpx2
import pytest
from pydantic import ValidationError
from tests.integration.conftest import KEY, Proxy, eventually, instance

from sympozium_api.web_endpoint import WebEndpoint

CEILING = 64 * 1024
"""The web-proxy's own limit, of the fixture ``max_body_bytes``."""
PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/mcp")


async def limit_to(proxy: Proxy, size: int | None) -> None:
    proxy.kubernetes.put(instance(webEndpoint={"maxBodyBytes": size}))  # None removes it
    cache = proxy.context.instance_cache
    await eventually(lambda: cache.served().instance.spec.web_endpoint.max_body_bytes == size)


async def post(proxy: Proxy, path: str, size: int) -> httpx2.Response:
    """Send a body of this many bytes; it is JSON, and nothing that makes a run."""
    body = json.dumps({"x": "x" * (size - len('{"x": ""}'))})
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    return await proxy.http.post(
        path, content=body, headers=headers | {"Accept": "application/json, text/event-stream"}
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("own", "most"), [(None, CEILING), (2048, 2048), (CEILING, CEILING), (1024 * 1024, CEILING)])
async def test_a_body_beyond_the_smaller_limit_is_413(proxy: Proxy, path: str, own: int | None, most: int) -> None:
    await limit_to(proxy, own)
    taken, refused = await post(proxy, path, most), await post(proxy, path, most + 1)
    assert (taken.status_code, refused.status_code) == (400, 413)
    assert str(most) in refused.text


async def test_a_limit_applies_without_a_restart(proxy: Proxy) -> None:
    assert (await post(proxy, PATHS[0], 4096)).status_code == 400
    await limit_to(proxy, 2048)
    assert (await post(proxy, PATHS[0], 4096)).status_code == 413
    await limit_to(proxy, None)
    assert (await post(proxy, PATHS[0], 4096)).status_code == 400


@pytest.mark.parametrize("size", [0, 1023, 8 * 1024 * 1024 + 1])
def test_a_limit_that_no_web_proxy_can_have_is_refused(size: int) -> None:
    with pytest.raises(ValidationError, match="maxBodyBytes"):
        WebEndpoint.model_validate({"maxBodyBytes": size})
