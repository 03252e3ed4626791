"""Tokens: got for API keys, or signed by others that have the secret; valid for an hour, and no longer than their key."""

from typing import Any

import jwt
from tests.integration.platform.conftest import JWT_SECRET, NAMESPACE, TENANT, Platform


async def claims_of(platform: Platform, **options: Any) -> dict[str, Any]:
    answer = await platform.request("POST", "/auth/token", **options)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"token"}
    claims: dict[str, Any] = jwt.decode(
        answer.json()["token"],
        JWT_SECRET,
        algorithms=["HS256"],
        audience="agent-platform",
        options={"verify_exp": False, "verify_iat": False},
    )
    return claims


class TestATokenForAKey:
    async def test_has_the_claims_of_the_key(self, platform: Platform) -> None:
        key = await platform.key(scopes=("tools:read",), user="grace")
        claims = await claims_of(platform, headers={"x-api-key": key})
        now = int(platform.clock.now().timestamp())
        [record] = [record for record in platform.context.callers.keys.all([NAMESPACE]) if record.user == "grace"]
        assert claims == {
            "sub": "grace",
            "tenant_id": TENANT,
            "scopes": ["tools:read"],
            "iss": "agent-platform",
            "aud": "agent-platform",
            "key_id": record.id,
            "iat": now,
            "exp": now + 3600,
        }
