"""Runs of every kind for the pages: in the API server in memory, and so in the console's index."""

import asyncio
from typing import Any

from tests.integration.console.conftest import Console
from tests.integration.console.run_logs_world import with_log

from sympozium_api import names
from sympozium_api.resources import Object

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script> **bold** {{ 7 * 7 }} \u202eevil"


def agent_run(name: str, second: int, **parts: Any) -> Object:
    """A run of instance demo that was accepted in a second of 2026-01-01."""
    spec = {"agentRef": "demo", "mode": "task", "task": "Say hello."} | parts.pop("spec", {})
    metadata = {
        "name": name,
        "namespace": parts.pop("namespace", "default"),
        "labels": {names.LABEL_SOURCE: "api", names.LABEL_INSTANCE: "demo"},
        "annotations": {names.ANNOTATION_KEY_ID: "token"},
        "creationTimestamp": f"2026-01-01T00:00:{second:02}Z",
    }
    return {"apiVersion": names.API_VERSION, "kind": "AgentRun", "metadata": metadata, "spec": spec} | parts


def ended(second: int, **status: Any) -> dict[str, Object]:
    times = {
        "acceptedAt": f"2026-01-01T00:00:{second:02}.000000Z",
        "jobAt": f"2026-01-01T00:00:{second:02}.100000Z",
        "firstTokenAt": f"2026-01-01T00:00:{second:02}.700000Z",
        "endedAt": f"2026-01-01T00:00:{second + 1:02}.500000Z",
    }
    usage = {"inputTokens": 1200, "outputTokens": 34, "totalTokens": 1234, "toolCalls": 2, "durationMs": 1400}
    body = {
        "phase": "Succeeded",
        "start": "cold",
        "model": "smollm2",
        "startedAt": f"2026-01-01T00:00:{second:02}Z",
        "completedAt": f"2026-01-01T00:00:{second + 1:02}Z",
        "duration": "1.5s",
        "times": times,
        "tokenUsage": usage,
        "result": "# Hello\n\nA **formatted** answer with `code`.",
        "finishReason": "stop",
        "conditions": [
            {
                "type": "Complete",
                "status": "True",
                "reason": "Succeeded",
                "message": "the run has ended",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:01Z",
            }
        ],
    }
    return {"status": body | status}


FAILURE = {"type": "model_error", "message": f"the model says 500: {HOSTILE}", "httpStatus": 502, "code": "overloaded"}


async def furnish(console: Console) -> None:
    """Runs of all phases, and one whose texts mean harm."""
    put = console.kubernetes.put
    put(agent_run("answered", 1) | ended(1))
    conversation = {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": HOSTILE},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": '{"x": "<b>"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "found"},
        ],
        "tools": [{"type": "function", "function": {"name": "look_up"}}],
    }
    steps = [
        {
            "kind": "model",
            "startedAt": "2026-01-01T00:00:02.2Z",
            "durationMs": 400,
            "inputTokens": 10,
            "outputTokens": 3,
        },
        {"kind": "tool", "name": "look_up", "id": "c", "args": '{"x": "<b>"}', "durationMs": 30, "error": HOSTILE},
    ]
    put(
        agent_run("hostile", 2, spec={"task": None, "request": conversation, "sessionKey": "chat-1"})
        | ended(2, result=HOSTILE, steps=steps)
    )
    with_log(
        console.kubernetes,
        agent_run("failed", 3) | ended(3, phase="Failed", result=None, error=FAILURE, finishReason=None),
        f'{{"event": "model refused", "why": "{HOSTILE}"}}\n',
    )
    put(agent_run("goes-on", 4) | {"status": {"phase": "Running", "startedAt": "2026-01-01T00:00:05Z"}})
    put(agent_run("waits", 5) | {"status": {"phase": "Pending", "queuePosition": 3}})
    put(agent_run("elsewhere", 6, namespace="team") | ended(6, phase="Failed", result=None, error=FAILURE))
    server = {"agentRef": "demo", "mode": "server", "task": None}
    put(agent_run("demo-web-endpoint", 0, spec=server) | {"status": {"phase": "Serving"}})
    put(
        {
            "kind": "Event",
            "metadata": {"name": "e"},
            "involvedObject": {"kind": "AgentRun", "name": "failed", "namespace": "default"},
            "type": "Warning",
            "reason": "RunFailed",
            "message": HOSTILE,
            "lastTimestamp": "2026-01-01T00:00:04Z",
        }
    )

    await indexed(console, "", 6)


async def indexed(console: Console, name: str, runs: int = 1) -> None:
    """Wait until the index has as many runs with this in their name."""
    async with asyncio.timeout(60):
        while (await console.request("GET", f"/api/v1/runs?order=newest{name and '&q='}{name}")).json().get(
            "counts", {}
        ).get("runs", 0) < runs:
            await asyncio.sleep(0.05)
