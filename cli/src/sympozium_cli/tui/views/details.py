"""Instances, SkillPacks, SympoziumConfigs and events in full. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sympozium_api.names import WEB_ENDPOINT_SKILL
from sympozium_api.resources import Object
from sympozium_cli.tui.views.columns import Tone
from sympozium_cli.tui.views.events import EventItem
from sympozium_cli.tui.views.instances import InstanceItem, endpoint_is_on, skill_name
from sympozium_cli.tui.views.lines import Line, foreign, heading, labelled
from sympozium_cli.tui.views.reading import age, at, count_at, items_at, moment, text_at
from sympozium_cli.tui.views.run_detail import condition_lines, event_lines
from sympozium_cli.tui.views.runs import RunItem, phase_cell

_LAST_RUNS = 8


def instance_blocks(body: Object, runs: Sequence[RunItem], events: Sequence[EventItem], now: datetime) -> list[Line]:
    """Return the lines of an instance's detail."""
    agent, endpoint = at(body, "spec", "agents", "default"), at(body, "status", "webEndpoint")
    pool, secrets = at(agent, "warmPool"), [text_at(ref, "secret") for ref in items_at(body, "spec", "authRefs")]
    phase = phase_cell(text_at(body, "status", "phase") or "Pending", is_run=False)
    size = count_at(pool, "size") or 0
    return [
        Line(phase.text, phase.tone),
        *labelled("title", text_at(body, "spec", "title")),
        *labelled("description", text_at(body, "spec", "description")),
        *labelled("age", age(moment(at(body, "metadata", "creationTimestamp")), now)),
        *heading("model"),
        *labelled("model", text_at(agent, "model")),
        *labelled("base URL", text_at(agent, "baseURL") or "OpenAI's API"),
        *labelled("also allowed", ", ".join(map(str, items_at(agent, "allowedModels")))),
        *labelled("Secrets", ", ".join(secrets)),
        *heading("web endpoint"),
        *endpoint_lines(body),
        *labelled("URL", text_at(endpoint, "url")),
        *labelled("keys in Secret", text_at(endpoint, "authSecretName")),
        *heading("skills"),
        *_skill_lines(body),
        *heading("runs"),
        *labelled("at once", count_at(body, "spec", "maxConcurrentRuns") or 20),
        *labelled("in the queue", count_at(body, "spec", "maxQueuedRuns") or 200),
        *labelled("timeout", text_at(agent, "runTimeout") or "10m"),
        *labelled(
            "warm pool", f"{count_at(body, 'status', 'warmPool', 'idle') or 0} idle of {size}" if size else "off"
        ),
        *_run_lines(runs, now),
        *condition_lines(body),
        *event_lines(events),
    ]


def endpoint_lines(body: Object) -> list[Line]:
    """Return whether the web endpoint is on, by what, and its limits."""
    skill = next((r for r in items_at(body, "spec", "skills") if at(r, "skillPackRef") == WEB_ENDPOINT_SKILL), None)
    if not endpoint_is_on(body):
        return [Line("[ ] off  (s or w switches it on)", "dim")]
    field, params = at(body, "spec", "webEndpoint"), at(skill, "params")
    rate = text_at(params, "rate_limit_rpm") or count_at(field, "rateLimit", "requestsPerMinute") or 60
    burst = text_at(params, "rate_limit_burst") or count_at(field, "rateLimit", "burstSize") or 10
    by = "by its skill" if skill else "by spec.webEndpoint"
    return [
        Line(f"[x] on, {by}", "good"),
        *labelled("limit", f"{rate} requests a minute, burst {burst}, of each key"),
        *labelled("host name", text_at(params, "hostname") or text_at(field, "hostname")),
    ]


def _skill_lines(body: Object) -> list[Line]:
    lines: list[Line] = []
    for ref in items_at(body, "spec", "skills"):
        params = ", ".join(f"{name}={value}" for name, value in (at(ref, "params") or {}).items())
        kind = "ConfigMap" if at(ref, "configMapRef") else "SkillPack"
        lines += labelled(kind, f"{skill_name(ref)}  {params}")
    return lines or [Line("none  (s chooses)", "dim")]


def _run_lines(runs: Sequence[RunItem], now: datetime) -> list[Line]:
    newest = sorted(runs, key=lambda run: run.order, reverse=True)[:_LAST_RUNS]
    lines = [Line()] if newest else []
    for run in newest:
        phase = phase_cell(run.phase, run.reason if run.phase == "Failed" else "")
        tone: Tone = phase.tone
        lines.append(Line(f"{age(run.accepted, now):>6}  {phase.text:<24} {run.duration:>7}  {run.key[1]}", tone))
    return lines


def pack_blocks(body: Object, instances: Sequence[InstanceItem]) -> list[Line]:
    """Return the lines of a SkillPack's detail."""
    name, namespace = text_at(body, "metadata", "name"), text_at(body, "metadata", "namespace")
    used = [item for item in instances if name in item.skills]
    lines = [
        *labelled("pack", f"{namespace}/{name}"),
        *labelled("server", "yes: it has a container of its own" if at(body, "spec", "sidecar") else "no"),
        *labelled("used by", ", ".join("/".join(item.key) for item in used) or "nobody in the namespaces shown"),
    ]
    params = items_at(body, "spec", "parameters")
    lines += heading("params") if params else []
    for param in params:
        lines += labelled(
            text_at(param, "name"), f"{text_at(param, 'description')} (default: {text_at(param, 'default')})"
        )
    for skill in items_at(body, "spec", "skills"):
        lines += heading(f"skill {text_at(skill, 'name')}")
        lines += foreign(at(skill, "description") or "", "dim") + foreign(at(skill, "content") or "")
    return lines


def config_blocks(body: Object) -> list[Line]:
    """Return the lines of a SympoziumConfig's detail: the gateway as asked for and as it is."""
    asked, found = at(body, "spec", "gateway"), at(body, "status", "gateway")
    tls = at(asked, "tls")
    return [
        *heading("asked for"),
        *labelled("gateway", "on" if at(asked, "enabled") is True else "off"),
        *labelled("name", text_at(asked, "name") or "sympozium"),
        *labelled("class", text_at(asked, "gatewayClassName")),
        *labelled("base domain", text_at(asked, "baseDomain")),
        *labelled("TLS", (text_at(tls, "secretName") or "by cert-manager") if at(tls, "enabled") is True else "off"),
        *heading("as it is"),
        *labelled("ready", "✓ yes" if at(found, "ready") is True else "- no"),
        *labelled("address", text_at(found, "address")),
        *labelled("listeners", count_at(found, "listenerCount")),
        *condition_lines(body),
    ]


def event_blocks(event: EventItem) -> list[Any]:
    """Return the lines of an event's detail."""
    return [
        *labelled("object", f"{event.about[0]} {event.about[1]}/{event.about[2]}"),
        *labelled("type", event.type, "warn" if event.type == "Warning" else ""),
        *labelled("reason", event.reason),
        *labelled("times", event.count),
        *labelled("last", f"{event.last.astimezone():%Y-%m-%d %H:%M:%S}" if event.last else ""),
        Line(),
        *foreign(event.message),
    ]
