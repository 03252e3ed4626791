"""A caller's request for a run, and the AgentRun that it becomes. Pure."""

import asyncio
import hashlib
import json
import math
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Self

from sympozium_api import names
from sympozium_api.base import owner_reference, seconds
from sympozium_api.instance import SympoziumInstance
from sympozium_api.json_members import compact
from sympozium_api.json_text import StoredText, json_text
from sympozium_api.timestamps import micro_timestamp, timestamp
from sympozium_api.trace_context import TraceContext
from sympozium_runs.run_version import RunVersion

_LARGE_BYTES = 8192
"""Bytes of a body, so that hundreds of waiting runs still fit into the process."""
_LARGE_RESPONSE_BYTES = 64 * 1024
"""Bytes from which a response's fields are compressed, or kept in parts, so that a conversation of 1 MiB fits into the object beside
them."""
_LARGEST_AT_ONCE = 1024 * 1024
"""Bytes of a body above which its text and digest are made in a thread, because other callers would wait."""
_MANY_VALUES = 10_000
"""Values of a body above which the same is true."""

_LONGEST_SCOPE = 64
_MOST_SCOPES = 64
"""Bounds of ``spec.caller.scopes``."""


@dataclass(frozen=True)
class SessionTurn:
    """The place of a run in a session, which gives the run its name."""

    run: str
    """Name of the run."""
    session: str
    """Value of ``names.LABEL_SESSION``."""
    session_key: str
    """The caller's key for the session."""
    identity: str
    """Text by which a repeated request for the same turn is known: two requests with other ones are two turns."""
    idempotency: str | None = None
    """Value of ``names.LABEL_IDEMPOTENCY``; None: the request has no Idempotency-Key."""
    history: int = 0
    """Number of messages of earlier turns in the request."""
    left_out: int = 0
    """Number of messages of earlier turns that the request does not have."""

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the run."""
        key = {names.LABEL_IDEMPOTENCY: self.idempotency} if self.idempotency else {}
        return {names.LABEL_SESSION: self.session} | key

    @property
    def annotations(self) -> dict[str, str]:
        """Annotations of the run."""
        counts = {
            names.ANNOTATION_SESSION_HISTORY: self.history,
            names.ANNOTATION_SESSION_LEFT_OUT: self.left_out,
        }
        return {name: str(count) for name, count in counts.items() if count}


@dataclass(frozen=True)
class RunRequest:
    """A caller's request to an instance's agent."""

    body: dict[str, Any]
    """An OpenAI chat completion body, or a legacy completion's."""
    source: str
    """Interface that the request came through: ``web-proxy``, ``mcp``, ``api``."""
    key_id: str
    """Name of the caller's API key, never the key."""
    idempotency_key: str | None = None
    body_text: str | None = None
    """The body as the model is sent it; None: as compact JSON."""
    key_seconds: int = 0
    """Seconds for which the Idempotency-Key stands, if there is one."""
    key_expires: str | None = None
    """Time until which the Idempotency-Key stands, if an earlier run of the key says so (``timestamp``)."""
    key_name: str | None = None
    """Display name of the caller's API key; None: the caller has an access token."""
    request_id: str | None = None
    user: str | None = None
    """Name of the caller; None: the key's id is its name."""
    scopes: tuple[str, ...] | None = None
    """Rights of the caller, such as its access token's; None: the caller has a key of a web endpoint, which has no scopes."""
    trace: TraceContext | None = None
    """Context of the span that the run's call of the model belongs below."""
    model: str | None = None
    """Model to use; None: the instance's own."""
    wait_seconds: float | None = None
    """Seconds that the caller waits. Then it gets an error, and a run that no other caller waits for is cancelled."""
    timeout: str | None = None
    """Duration after which the run ends; None: the instance's own."""
    original_body: dict[str, Any] | None = None
    """Body that the caller sent, where ``body`` was made from it. An Idempotency-Key belongs to this body."""
    response: dict[str, Any] | None = None
    """Fields that the run keeps for its caller beside the conversation."""
    background: bool = False
    """True if the run continues after its caller leaves."""
    can_be_joined: bool = False
    """True if callers may follow the run's stream whenever they like."""
    leaves_for_good: bool = False
    """True if a caller that disconnects cannot come back, although its run has an ``idempotency_key``."""
    first_attempt: str | None = None
    """Name of the Idempotency-Key's first run, if this request makes another one because those before were cancelled."""
    is_retry_only: bool = False
    """True if the request find the run of its ``idempotency_key`` and there is no slot for another one."""
    turn: SessionTurn | None = None
    """The session's turn that the run is; None: the run is of no session."""
    version: RunVersion | None = None
    """Published version that the run is of, which replaces the instance's prompt, model and parameters; None: none does."""
    agent_id: str | None = None
    """Id of the instance's agent where it is not the instance's UID."""
    forwarded: dict[str, str] = field(default_factory=dict, repr=False)
    """Caller's headers to send to the model, with this run only. They are not stored anywhere."""

    @property
    def is_resumable(self) -> bool:
        """True if a caller may join the run's stream after its beginning: by its Idempotency-Key, as a stored response, or by its name."""
        is_stored = self.response is not None and self.response["asked"].get("store") is not False
        return self.idempotency_key is not None or is_stored or self.can_be_joined

    @cached_property
    def text(self) -> str:
        """The body as JSON text, which the run keeps. Made once, because encoding 1 MiB holds up the event loop."""
        return compact(self.body) if self.body_text is None else self.body_text

    @cached_property
    def stored_texts(self) -> dict[str, StoredText]:
        """The texts that the run keeps, by the name of their part (``request``, ``response``)."""
        texts = {"request": json_text(self.text)}
        if self.response:
            packed = compact(self.response)
            texts["response"] = json_text(packed, plain_bytes=_LARGE_RESPONSE_BYTES, packed_bytes=_LARGE_RESPONSE_BYTES)
        return texts

    @property
    def has_parts(self) -> bool:
        """True if a text of the request does not fit into its run."""
        return any(text.parts for text in self.stored_texts.values())

    def may_be_warm(self, instance: SympoziumInstance) -> bool:
        """Return whether an idle pod of the instance may do the run: none has the key of another Provider."""
        return self.version is None or not self.version.is_elsewhere(instance)

    async def prepared(self) -> Self:
        """Return the request once what its manifest needs of a long body is made, in a thread."""
        if _is_long(self.body) if self.body_text is None else len(self.body_text) > _LARGEST_AT_ONCE:
            await asyncio.to_thread(lambda: (self.digest, self.stored_texts))
        return self

    @property
    def is_large(self) -> bool:
        """True for a body that is not kept until the agent asks for it, but read again from the AgentRun."""
        return len(self.text) > _LARGE_BYTES

    @property
    def may_return(self) -> bool:
        """True if a caller that disconnects may come back for the run, at any replica."""
        return self.idempotency_key is not None and not self.leaves_for_good

    @cached_property
    def digest(self) -> str:
        """Hash of the request: two with the same Idempotency-Key are the same request if it is equal."""
        body = json.dumps(self.original_body or self.body, sort_keys=True) + (self.turn.identity if self.turn else "")
        return hashlib.sha256((body + (self.timeout or "")).encode()).hexdigest()

    def manifest(
        self, instance: SympoziumInstance, name: str, *, reply_to: str | None, now: datetime
    ) -> dict[str, Any]:
        """Return the AgentRun of this name. ``reply_to``: base URL of the agent API of the replica that has the caller, if any."""
        return {
            "apiVersion": names.API_VERSION,
            "kind": "AgentRun",
            "metadata": {
                "name": name,
                "labels": names.labels("run", instance=instance.metadata.name)
                | {names.LABEL_SOURCE: self.source, names.LABEL_KEY: names.key_hash(self.key_id)}
                | (self.turn.labels if self.turn else {})
                | (self.version.labels if self.version else {}),
                "annotations": {
                    **({names.ANNOTATION_REPLY_TO: reply_to} if reply_to else {}),
                    names.ANNOTATION_ACCEPTED_AT: micro_timestamp(now),
                    names.ANNOTATION_REQUEST_HASH: self.digest,
                    names.ANNOTATION_KEY_ID: self.key_id,
                    **({names.ANNOTATION_KEY_NAME: self.key_name} if self.key_name else {}),
                    **({names.ANNOTATION_KEY_EXPIRES: self._expires(now)} if self._is_kept else {}),
                    **(self.turn.annotations if self.turn else {}),
                    **(self.version.annotations if self.version else {}),
                    **({names.ANNOTATION_AGENT_ID: self.agent_id} if self.agent_id else {}),
                    **({names.ANNOTATION_FIRST_ATTEMPT: self.first_attempt} if self.first_attempt else {}),
                    **({names.ANNOTATION_REQUEST_ID: self.request_id} if self.request_id else {}),
                    **(self.trace.annotations if self.trace else {}),
                    **({names.ANNOTATION_RESUMABLE: "true"} if self.is_resumable else {}),
                    **({names.ANNOTATION_FORWARDS: "true"} if self.forwarded else {}),
                },
                "ownerReferences": [owner_reference(instance) | {"controller": False}],
            },
            "spec": {
                "agentRef": instance.metadata.name,
                "mode": "task",
                **{f"{name}Text": text.field for name, text in self.stored_texts.items()},
                **({"sessionKey": self.turn.session_key} if self.turn else {}),
                **self._caller(),
                **self._overrides(instance),
            },
        }

    @property
    def _is_kept(self) -> bool:
        """True if the run is kept as long as an Idempotency-Key stands: for its key, or for the next turn of its session."""
        return self.idempotency_key is not None or self.turn is not None

    def _caller(self) -> dict[str, Any]:
        """Return the field with the caller's rights, by which tools that write are allowed. A key's caller has the agent's own."""
        if self.scopes is None:
            return {}
        storable = [scope for scope in self.scopes if len(scope) <= _LONGEST_SCOPE]
        ours_first = sorted(storable, key=lambda scope: scope != names.TOOLS_WRITE)
        return {"caller": {"user": self.user or self.key_id, "scopes": ours_first[:_MOST_SCOPES]}}

    def _expires(self, now: datetime) -> str:
        return self.key_expires or timestamp(now + timedelta(seconds=self.key_seconds))

    def _overrides(self, instance: SympoziumInstance) -> dict[str, Any]:
        """Return the fields of the spec in which the request differs from its instance."""
        agent, overrides = instance.spec.agents.default, dict[str, Any]()
        if self.version is not None:
            overrides |= self.version.spec
        elif self.model not in (None, agent.model):
            overrides["model"] = {"model": self.model}
        if self.timeout is not None:
            overrides["timeout"] = self.timeout
        is_only_caller = self.idempotency_key is None
        if self.wait_seconds is not None and is_only_caller and self.wait_seconds < seconds(agent.run_timeout):
            overrides["timeout"] = (
                f"{math.ceil(self.wait_seconds)}s"  # in case this replica, and its timer, are gone by then
            )
        return overrides


def _is_long(body: Any) -> bool:
    """Return whether a body may take long to write as JSON: by its texts' length, and by the number of its values."""
    waiting, length, values = [body], 0, 0
    while waiting and length <= _LARGEST_AT_ONCE and values <= _MANY_VALUES:
        value = waiting.pop()
        values += 1
        length += len(value) if isinstance(value, str) else 0
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(waiting) or length > _LARGEST_AT_ONCE


def name_of(request: RunRequest, instance: SympoziumInstance, attempt: int = 0) -> str:
    """Return the name of a request's run: a turn's own, or that of ``run_name``."""
    return request.turn.run if request.turn else run_name(instance, request.key_id, request.idempotency_key, attempt)


def run_name(instance: SympoziumInstance, key_id: str, idempotency_key: str | None, attempt: int = 0) -> str:
    """Return the run's name, which is chosen before the first attempt to create it, so that a repeated attempt finds it (rule 6).

    ``attempt`` counts the cancelled runs of the same Idempotency-Key that were made before.
    """
    prefix = instance.metadata.name
    if idempotency_key is None:
        return f"{prefix}-{secrets.token_hex(6)}"
    parts = json.dumps([instance.metadata.uid, key_id, idempotency_key, *([attempt] if attempt else [])])
    return f"{prefix}-{hashlib.sha256(parts.encode()).hexdigest()[:20]}"
