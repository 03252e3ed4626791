"""What a web endpoint says of itself: its version, over HTTP and MCP, and how a caller shows its key."""

from importlib.metadata import version

import pytest
from tests.integration.conftest import KEY, Proxy
from tests.mcp_clients import ERAS, connected


async def test_the_openapi_has_the_version_and_the_key_of_each_route(proxy: Proxy) -> None:
    description = (await proxy.http.get("/openapi.json")).json()
    assert description["info"]["version"] == version("sympozium")
    assert description["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert description["security"] == [{"bearer": []}]
    for path, route in description["paths"].items():
        for method, operation in route.items():
            if path.startswith(("/v1", "/mcp")):
                assert "security" not in operation, "the key of the whole"
                answer = await proxy.http.request(method.upper(), path.replace("{response_id}", "resp_x"))
                assert answer.status_code == 401, path
            elif operation.get("security") == []:
                assert (await proxy.http.request(method.upper(), path)).status_code != 401, path


@pytest.mark.parametrize("era", ERAS)
async def test_an_mcp_client_sees_the_version(proxy: Proxy, era: str) -> None:
    async with connected(proxy.url, KEY, era) as client:
        assert client.server_info
        assert client.server_info.version == version("sympozium")
