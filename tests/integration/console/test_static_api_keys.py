"""API keys of the variable AUTH_API_KEYS."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.fakes.callers import namespace_object
from tests.integration.conftest import eventually
from tests.integration.console.api_key_world import ask, following
from tests.integration.console.conftest import Console, error

from sympozium_domain.callers.static_keys import StaticKeys


@pytest.fixture
async def keyed(console: Console) -> AsyncIterator[Console]:
    """A console that has a pepper and follows the keys."""
    async with following(console):
        yield console


class TestKeysOfTheVariable:
    ENTRY = {"tenant_id": "t-1", "user_id": "grace", "scopes": ["operator.read"]}

    async def test_are_valid_beside_the_others_and_read_again(self, keyed: Console, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        file.write_text(json.dumps({"first-key": self.ENTRY}))
        labels = {"sympozium.ai/tenant-id": "t-1"}
        keyed.kubernetes.put(namespace_object("default", **labels))
        use(keyed, str(file))
        assert (await ask(keyed, "first-key")).status_code == 200
        file.write_text(json.dumps({"second-key": self.ENTRY, "third-key": self.ENTRY}))
        keyed.clock.advance(2)
        assert [(await ask(keyed, f"{name}-key")).status_code for name in ("first", "second")] == [401, 200]
        file.write_text("{")
        keyed.clock.advance(2)
        assert (await ask(keyed, "second-key")).status_code == 200
        file.unlink()
        keyed.clock.advance(2)
        assert (await ask(keyed, "third-key")).status_code == 200
        assert (await ask(keyed, "third-key", "/api/v1/instances?namespace=other")).status_code == 403

    async def test_of_a_tenant_that_is_not_there_are_refused_and_logged_without_the_key(self, keyed: Console) -> None:
        wrong = self.ENTRY | {"scopes": ["root"]}
        with capture_logs() as logs:
            keys = use(keyed, json.dumps({"lost-key": self.ENTRY, "wrong-key": wrong, "": self.ENTRY}))
            reporting = asyncio.create_task(keys.run())
            await eventually(lambda: any("tenant" in line for line in logs))
            reporting.cancel()
            for key in ("lost-key", "wrong-key", "x"):
                error(await ask(keyed, key), 401)
        assert any(line.get("tenant") == "t-1" for line in logs)
        assert any("scopes.0" in line.get("fields", ()) for line in logs)
        assert "-key" not in json.dumps(logs, default=str)

    async def test_a_tenant_may_be_named_by_the_uid_of_its_namespace(self, keyed: Console) -> None:
        made_namespace = keyed.kubernetes.put(namespace_object("default"))
        use(keyed, json.dumps({"a-key": self.ENTRY | {"tenant_id": made_namespace["metadata"]["uid"]}}))
        assert (await ask(keyed, "a-key")).status_code == 200

    async def test_a_key_that_no_header_can_have_takes_no_other_away(self, keyed: Console) -> None:
        keyed.kubernetes.put(namespace_object("default", **{"sympozium.ai/tenant-id": "t-1"}))
        use(keyed, json.dumps({"\ud800": self.ENTRY, "a-key": self.ENTRY}))
        assert (await ask(keyed, "a-key")).status_code == 200


def use(console: Console, source: str) -> StaticKeys:
    """Give a console keys of the variable AUTH_API_KEYS."""
    callers = console.context.callers
    keys = StaticKeys(source, callers.rights._namespaces, console.clock)
    checks = (keys.caller, *callers.authenticator.key_checks)
    object.__setattr__(callers.authenticator, "key_checks", checks)
    return keys
