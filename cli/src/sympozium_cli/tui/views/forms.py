"""Fields of forms: what an instance has, and what a form's texts make of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sympozium_api.names import WEB_ENDPOINT_SKILL
from sympozium_api.resources import Object
from sympozium_cli.tui.views.instances import endpoint_is_on
from sympozium_cli.tui.views.reading import at, count_at, items_at, text_at


@dataclass(frozen=True)
class Field:
    """One field of a form."""

    name: str
    label: str
    value: str | bool
    """Text of a line, or the state of a box."""
    hint: str = ""


class BadValue(ValueError):
    """A text that is no value of its field; ``field`` is the field's name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def endpoint_fields(instance: Object) -> list[Field]:
    """Return the fields of a web endpoint; a value that the skill's params set says so."""
    endpoint = at(instance, "spec", "webEndpoint")
    refs = [ref for ref in items_at(instance, "spec", "skills") if at(ref, "skillPackRef") == WEB_ENDPOINT_SKILL]
    params = (at(refs[0], "params") if refs else None) or {}

    def field(name: str, label: str, param: str, value: str, default: str) -> Field:
        of_skill = text_at(params, param)
        return Field(name, label, of_skill or value, "set by the skill's param" if of_skill else default)

    rate = count_at(endpoint, "rateLimit", "requestsPerMinute")
    burst = count_at(endpoint, "rateLimit", "burstSize")
    return [
        Field("enabled", "Web endpoint", endpoint_is_on(instance), "the instance's HTTP API"),
        field("rpm", "Requests per minute", "rate_limit_rpm", _text(rate), "of each API key; empty: 60"),
        field("burst", "Burst", "rate_limit_burst", _text(burst), "requests at once; empty: 10"),
        field("hostname", "Host name", "hostname", text_at(endpoint, "hostname"), "empty: <instance>.<baseDomain>"),
    ]


def endpoint_values(edited: Mapping[str, str | bool]) -> Object:
    """Return the merge patch of ``spec.webEndpoint`` that the edited fields of a form ask for. Raises BadValue."""
    counts = {"rpm": "requestsPerMinute", "burst": "burstSize"}
    rate = {member: _count(name, edited, 1, 1_000_000) for name, member in counts.items() if name in edited}
    values: Object = {"rateLimit": rate} if rate else {}
    return values | ({"hostname": str(edited["hostname"]).strip() or None} if "hostname" in edited else {})


def pool_fields(instance: Object) -> list[Field]:
    """Return the fields of a warm pool."""
    pool = at(instance, "spec", "agents", "default", "warmPool")
    return [
        Field("size", "Idle pods", _text(count_at(pool, "size")), "empty or 0: every request starts a pod"),
        Field(
            "max", "At most", _text(count_at(pool, "max")), "when requests come faster than pods start; empty: as above"
        ),
        Field("idleTTL", "Idle time", text_at(pool, "idleTTL"), "then a new pod replaces it; empty: 10m"),
    ]


def with_pool(instance: Object, edited: Mapping[str, str | bool]) -> Object:
    """Return an instance with the warm pool that the edited fields of a form ask for. Raises BadValue."""
    values: dict[str, Any] = {name: _count(name, edited, 0, 500) for name in ("size", "max") if name in edited}
    values |= {"idleTTL": str(edited["idleTTL"]).strip() or None} if "idleTTL" in edited else {}
    agents = instance["spec"]["agents"]
    values = (agents["default"].get("warmPool") or {}) | values
    pool = {name: value for name, value in values.items() if value is not None}
    default = (
        {**agents["default"], "warmPool": pool}
        if pool
        else {k: v for k, v in agents["default"].items() if k != "warmPool"}
    )
    return {**instance, "spec": {**instance["spec"], "agents": {**agents, "default": default}}}


def _text(value: int | None) -> str:
    return "" if value is None else str(value)


def _count(name: str, texts: Mapping[str, str | bool], least: int, most: int) -> int | None:
    text = str(texts[name]).strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise BadValue(name, f"write a whole number from {least} to {most}, or nothing")
    return int(text)
