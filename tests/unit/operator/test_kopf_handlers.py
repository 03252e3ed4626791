"""Handlers of kopf, tried with kopf's own registry and events."""

import tomllib
from pathlib import Path
from typing import Any

import kopf
from tests.unit.operator.objects import NAMESPACE, metadata

from sympozium_operator.result import Key
from sympozium_operator.watches import kopf_handlers


def watching(registry: kopf.OperatorRegistry) -> dict[str, Any]:
    """The registered handlers, by plural."""
    handlers_of_kopf: Any = registry._watching.get_all_handlers()
    return {str(handler.selector.plural or handler.selector.any_name): handler for handler in handlers_of_kopf}


async def keys_of(plural: str, body: dict[str, Any], kind: str | None = "MODIFIED") -> list[Key]:
    """The keys that an event of kopf's brings."""
    found: list[Key] = []
    handler = watching(kopf_handlers.registry(lambda *keys: found.extend(keys)))[plural]
    parts = {
        "type": kind,
        "body": body,
        "spec": body.get("spec", {}),
        "status": body.get("status", {}),
        "labels": body["metadata"].get("labels", {}),
        "namespace": body["metadata"]["namespace"],
        "name": body["metadata"]["name"],
    }
    if handler.when is None or handler.when(**parts):
        await handler.fn(**parts)
    return found


def test_nothing_but_these_kinds_is_watched() -> None:
    assert set(watching(kopf_handlers.registry(lambda *_: None))) == {"skillpacks"}


async def test_an_event_of_a_skill_pack_is_a_key() -> None:
    assert await keys_of("skillpacks", {"metadata": metadata("tools")}) == [Key("skillpack", NAMESPACE, "tools")]


def test_kopf_writes_nothing_and_never_gives_up() -> None:
    found = kopf_handlers.settings()
    assert not found.posting.enabled
    assert found.scanning.disabled
    delays = iter(found.networking.error_backoffs)  # type: ignore[arg-type]
    assert all(0 < next(delays) <= 30 for _ in range(100))


def test_only_kopfs_public_names_of_one_major_version_are_used() -> None:
    root = Path(__file__).parents[3]
    sources = [file.read_text() for file in (root / "operator/src").rglob("*.py")]
    assert not any("kopf._" in source for source in sources)
    requirements = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]["operator"]
    assert any(text.startswith("kopf>=") and text.endswith(",<2") for text in requirements)
