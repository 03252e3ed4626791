"""Who may call, and how the process is."""

import pytest
from tests.integration.console.conftest import DEMO, Console, error


class TestWhoMayCall:
    @pytest.mark.parametrize("authorization", ["", "Bearer wrong", "secret", "Basic secret", "Bearer"])
    async def test_without_a_token_nothing_is_told_or_done(self, console: Console, authorization: str) -> None:
        for method, path in (("GET", "/api/v1/instances"), ("DELETE", DEMO), ("PATCH", f"{DEMO}?nonsense=1")):
            refused = await console.asks(method, path, headers={"Authorization": authorization})
            assert error(refused, 401)["reason"] == "Unauthorized"
            assert refused.headers["www-authenticate"] == "Bearer"
        assert console.kubernetes.reads == []
        assert console.kubernetes.writes == []

    async def test_tokens_are_rotated_without_a_restart(self, console: Console) -> None:
        assert (await console.asks("GET", DEMO)).status_code == 200
        (console.tokens / "token-new").write_text("fresh")
        (console.tokens / "token").unlink()
        console.clock.advance(2)
        assert (await console.asks("GET", DEMO)).status_code == 401
        assert (await console.asks("GET", DEMO, headers={"Authorization": "Bearer fresh"})).status_code == 200


class TestHealth:
    async def test_it_is_ready_as_long_as_the_api_server_answers(self, console: Console) -> None:
        assert (await console.asks("GET", "/healthz")).json() == {"status": "ok"}
        assert (await console.asks("GET", "/readyz")).json() == {"status": "ok"}
        console.kubernetes.documents.clear()
        away = await console.asks("GET", "/readyz")
        assert (away.status_code, away.json()["reason"]) == (503, "API server unreachable")

    async def test_it_is_not_ready_while_it_ends(self, console: Console) -> None:
        console.context.draining.set()
        assert (await console.asks("GET", "/readyz")).json() == {"status": "unavailable", "reason": "draining"}

    async def test_requests_are_counted_by_route_and_not_by_name(self, console: Console) -> None:
        await console.asks("GET", DEMO)
        text = (await console.asks("GET", "/metrics")).text
        counted = 'sympozium_http_requests_total{route="/api/v1/instances/{name}",status="200"} 1.0'
        assert counted in text
        assert "demo" not in text
