"""Authentication, health and metrics of the console."""

import pytest
from prometheus_client import generate_latest
from tests.integration.console.conftest import DEMO, Console, error


class TestAuthentication:
    @pytest.mark.parametrize("authorization", ["", "Bearer wrong", "secret", "Basic secret", "Bearer"])
    async def test_a_request_without_a_valid_token_is_refused_and_reads_and_writes_nothing(
        self, console: Console, authorization: str
    ) -> None:
        for method, path in (("GET", "/api/v1/instances"), ("DELETE", DEMO), ("PATCH", f"{DEMO}?nonsense=1")):
            refused = await console.request(method, path, headers={"Authorization": authorization})
            assert error(refused, 401)["reason"] == "Unauthorized"
            assert "none, or one that this console does not know" in error(refused, 401)["message"]
            assert refused.headers["www-authenticate"] == "Bearer"
        assert console.kubernetes.reads == []
        assert console.kubernetes.writes == []

    async def test_tokens_are_rotated_without_a_restart(self, console: Console) -> None:
        assert (await console.request("GET", DEMO)).status_code == 200
        (console.tokens / "token-new").write_text("fresh")
        (console.tokens / "token").unlink()
        console.clock.advance(2)
        assert (await console.request("GET", DEMO)).status_code == 401
        assert (await console.request("GET", DEMO, headers={"Authorization": "Bearer fresh"})).status_code == 200


class TestHealth:
    async def test_the_console_is_ready_while_the_api_server_answers(self, console: Console) -> None:
        assert (await console.request("GET", "/healthz")).json() == {"status": "ok"}
        assert (await console.request("GET", "/readyz")).json() == {"status": "ok"}
        console.kubernetes.documents.clear()
        unready = await console.request("GET", "/readyz")
        assert (unready.status_code, unready.json()["reason"]) == (503, "API server unreachable")

    async def test_a_draining_console_is_not_ready(self, console: Console) -> None:
        console.context.draining.set()
        assert (await console.request("GET", "/readyz")).json() == {"status": "unavailable", "reason": "draining"}

    async def test_requests_are_counted_by_route_not_by_name(self, console: Console) -> None:
        await console.request("GET", DEMO)
        text = generate_latest(console.context.metrics.registry).decode()
        sample = 'sympozium_http_requests_total{route="/api/v1/instances/{name}",status="200"} 1.0'
        assert sample in text
        assert "demo" not in text
