"""What a caller asks, and the AgentRun that it becomes. Pure."""

import hashlib
import json
import math
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sympozium_api import names
from sympozium_api.base import owner_reference, seconds
from sympozium_api.instance import SympoziumInstance
from sympozium_api.timestamps import micro_timestamp
from sympozium_api.trace_context import TraceContext


@dataclass(frozen=True)
class RunRequest:
    """What a caller asks an instance's agent."""

    body: dict[str, Any]
    """An OpenAI chat completion body."""
    source: str
    """Which door it came through: ``web-proxy``, ``mcp``, ``api``."""
    key_id: str
    """Name of the caller's API key, never the key."""
    idempotency_key: str | None = None
    request_id: str | None = None
    trace: TraceContext | None = None
    """Below which span the run's call of the model belongs."""
    model: str | None = None
    """The model that answers; None: the instance's own."""
    wait_seconds: float | None = None
    """How long the caller waits; then it gets an error, and a run for which nobody else waits is cancelled."""
    asked: dict[str, Any] | None = None
    """What the caller itself sent, where ``body`` was made from it: an Idempotency-Key stands for this."""
    response: dict[str, Any] | None = None
    """What the run keeps for its caller beside the conversation."""
    background: bool = False
    """Whether the run goes on without its caller."""
    forwarded: dict[str, str] = field(default_factory=dict, repr=False)
    """The caller's headers that go to the model, with this run only; they are not written anywhere."""

    @cached_property
    def digest(self) -> str:
        """A hash of what was asked, by which a second request with the same Idempotency-Key is told from another one."""
        asked = json.dumps(self.asked or self.body, sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()

    def manifest(self, instance: SympoziumInstance, name: str, *, reply_to: str, now: datetime) -> dict[str, Any]:
        """The AgentRun of this name. ``reply_to``: base URL of the runs surface of the replica that has the caller."""
        return {
            "apiVersion": names.API_VERSION,
            "kind": "AgentRun",
            "metadata": {
                "name": name,
                "labels": names.labels("run", instance=instance.metadata.name)
                | {names.LABEL_SOURCE: self.source, names.LABEL_KEY: names.key_hash(self.key_id)},
                "annotations": {
                    names.ANNOTATION_REPLY_TO: reply_to,
                    names.ANNOTATION_ACCEPTED_AT: micro_timestamp(now),
                    names.ANNOTATION_REQUEST_HASH: self.digest,
                    names.ANNOTATION_KEY_ID: self.key_id,
                    **({names.ANNOTATION_REQUEST_ID: self.request_id} if self.request_id else {}),
                    **(self.trace.annotations if self.trace else {}),
                    **({names.ANNOTATION_FORWARDS: "true"} if self.forwarded else {}),
                },
                "ownerReferences": [owner_reference(instance) | {"controller": False, "blockOwnerDeletion": False}],
            },
            "spec": {
                "agentRef": instance.metadata.name,
                "mode": "task",
                "request": self.body,
                **({"response": self.response} if self.response else {}),
                **self._otherwise(instance),
            },
        }

    def _otherwise(self, instance: SympoziumInstance) -> dict[str, Any]:
        """What the request wants otherwise than the instance has it."""
        agent, found = instance.spec.agents.default, dict[str, Any]()
        if self.model not in (None, agent.model):
            found["model"] = {"model": self.model}
        nobody_else = self.idempotency_key is None
        if self.wait_seconds is not None and nobody_else and self.wait_seconds < seconds(agent.run_timeout):
            found["timeout"] = f"{math.ceil(self.wait_seconds)}s"  # should this replica, and its timer, be gone by then
        return found


def run_name(instance: SympoziumInstance, key_id: str, idempotency_key: str | None) -> str:
    """Picked before the first attempt to create the run, so that a repeated attempt finds it (rule 6)."""
    prefix = instance.metadata.name
    if idempotency_key is None:
        return f"{prefix}-{secrets.token_hex(6)}"
    parts = json.dumps([instance.metadata.uid, key_id, idempotency_key])
    return f"{prefix}-{hashlib.sha256(parts.encode()).hexdigest()[:20]}"
