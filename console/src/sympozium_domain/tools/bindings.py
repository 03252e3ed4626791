"""Bindings of tools to agents: made or replaced, listed and removed, at any replica at once."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sympozium_api import names
from sympozium_api.base import owner_reference
from sympozium_api.client import ApiError, Client
from sympozium_api.client.collection import Reading
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import TOOL_BINDINGS, TOOLS, Object
from sympozium_api.tool_binding import ToolBinding
from sympozium_domain import object_ids, object_times
from sympozium_domain.idempotent_creation import Creation, KeyOfAnotherBody
from sympozium_domain.tenant_bounds import TenantBounds, TooMany
from sympozium_domain.tools.binding_record import BindingRecord
from sympozium_domain.tools.tool_record import ToolRecord
from sympozium_domain.tools.tools_in_force import ToolsInForce
from sympozium_domain.tools.wrong_field import check

BindingFields = dict[str, Any]
"""Fields of a binding that a caller gives, under the names of BindingRecord."""

_FIELDS = {
    "permission_scope": "permissionScope",
    "timeout_ms": "timeoutMs",
    "rate_limit": "rateLimit",
    "allowed_domains": "allowedDomains",
    "secrets_ref": "secretKey",
}
_ATTEMPTS = 20
"""Tries of a write that meets others. The operator's reports are among them."""
_PAUSE_SECONDS = 0.02
_NAME_DIGITS = 20
_REMEMBERED = 16
"""Requests with an Idempotency-Key that a binding remembers."""
_SENT_NAMES = {f"spec.{ours}": field for field, ours in _FIELDS.items()}


@dataclass(frozen=True)
class Grantee:
    """An agent as bindings name it."""

    id: str
    instance: SympoziumInstance


@dataclass(frozen=True)
class MadeBinding:
    """A binding that a request has made."""

    binding: BindingRecord
    obstacle: str | None
    """Reason why the agent is not offered the tool; None: it is, or the operator has not said so in time."""


@dataclass(frozen=True)
class Bindings:
    """The bindings of every namespace. Each method raises ApiError and ApiUnavailable."""

    client: Client
    clock: Clock
    in_force: ToolsInForce
    bounds: TenantBounds = field(default_factory=TenantBounds)

    async def bind(
        self, creation: Creation, agent: Grantee, tool: ToolRecord, fields: BindingFields, owner: str
    ) -> MadeBinding:
        """Grant a tool to an agent with all of these fields. A binding that is there is replaced and keeps its id, never doubled.

        A request with an Idempotency-Key that was carried out before changes nothing. Raises WrongField, KeyOfAnotherBody and TooMany.
        """
        instance = agent.instance
        namespace, name = instance.key
        spec = {ours: fields[field] for field, ours in _FIELDS.items()}
        for _ in range(_ATTEMPTS):
            known = await self._of_pair(namespace, name, tool.object_name)
            try:
                if known:
                    stored = await self._replace(creation, instance, known[0], spec)
                else:
                    stored = await self._create(creation, instance, tool.object_name, spec, owner)
            except ApiError as error:
                if error.status not in (404, 409):
                    raise
                failure = error
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            made = BindingRecord.of(stored, agent.id, tool.id)
            if made is not None:
                await self.in_force.settle_agents(namespace, [name])
                return MadeBinding(made, await self.in_force.obstacle(namespace, stored["metadata"]["name"]))
            failure = ApiError(409, {"reason": "Conflict", "message": "the binding is being deleted"})
        raise failure

    async def of_agent(self, agent: Grantee) -> list[BindingRecord]:
        """Return the bindings of an agent, the newest first, those of kubectl too. Of a pair that is bound twice the oldest counts."""
        namespace, name = agent.instance.key
        selector = f"spec.agentRef={name}"
        bodies, tools = await asyncio.gather(
            self.client.list(TOOL_BINDINGS, namespace, fieldSelector=selector), self.client.metadata(TOOLS, namespace)
        )
        ids = {tool["metadata"]["name"]: object_ids.object_id(tool) for tool in tools if not _is_going(tool)}
        by_tool: dict[str, Object] = {}
        for body in sorted(bodies, key=_age):
            if not _is_going(body):
                by_tool.setdefault(body["spec"]["toolRef"], body)
        newest = sorted(by_tool.values(), key=lambda body: (object_times.created(body), _age(body)), reverse=True)
        found = [
            BindingRecord.of(body, agent.id, ids[body["spec"]["toolRef"]])
            for body in newest
            if body["spec"]["toolRef"] in ids  # the operator deletes the others
        ]
        return [binding for binding in found if binding is not None]

    async def unbind(self, agent: Grantee, tool: ToolRecord) -> bool:
        """Take a tool from an agent, however many bindings grant it. Return False if none did."""
        namespace, name = agent.instance.key
        known = await self._of_pair(namespace, name, tool.object_name)
        for body in known:
            metadata = body["metadata"]
            await self.client.delete(TOOL_BINDINGS, namespace, metadata["name"], uid=metadata["uid"])
        if known:
            await self.in_force.settle_agents(namespace, [name])
        return bool(known)

    async def id_of_pair(self, agent: Grantee, tool: ToolRecord) -> str | None:
        """Return the id of the binding of a tool to an agent; None: there is none."""
        known = await self._of_pair(*agent.instance.key, tool.object_name)
        return object_ids.object_id(known[0]) if known else None

    async def _of_pair(self, namespace: str, agent: str, tool: str) -> Sequence[Object]:
        """Return the ToolBindings of a pair, the oldest first: the others grant nothing as long as it is there."""
        selector = f"spec.agentRef={agent},spec.toolRef={tool}"
        bodies = await self.client.list(TOOL_BINDINGS, namespace, fieldSelector=selector)
        return sorted((body for body in bodies if not _is_going(body)), key=_age)

    async def _create(
        self, creation: Creation, instance: SympoziumInstance, tool: str, spec: Object, owner: str
    ) -> Object:
        namespace = instance.metadata.namespace
        if (count := await self._count(namespace)) >= self.bounds.bindings:
            raise TooMany(f"The tenant has {count} bindings, and callers make no more than {self.bounds.bindings}.")
        metadata = creation.metadata(_name(instance.metadata.name, tool), owner, self.clock.now())
        body: Object = {
            "apiVersion": TOOL_BINDINGS.api_version,
            "kind": TOOL_BINDINGS.kind,
            "metadata": metadata | {"ownerReferences": _owners(instance)},
            "spec": {"agentRef": instance.metadata.name, "toolRef": tool, **_given(spec)},
        }
        body["metadata"]["annotations"] |= _remembering({}, creation)
        check(ToolBinding, body, _SENT_NAMES)
        return await self.client.create(TOOL_BINDINGS, namespace, body, strict=True)

    async def _count(self, namespace: str) -> int:
        """Return the number of a namespace's ToolBindings, of which one is read: the API server counts the others."""
        page = await self.client.page(TOOL_BINDINGS, namespace, Reading(metadata_only=True), limit=1, after="")
        return len(page.items) + (page.remaining or 0)

    async def _replace(self, creation: Creation, instance: SympoziumInstance, known: Object, spec: Object) -> Object:
        metadata = known["metadata"]
        requests = _requests(known)
        if creation.digest is not None and creation.id in requests:
            if requests[creation.id] != creation.digest:
                raise KeyOfAnotherBody
            return known
        changed = object_times.at_change(self.clock.now()) | _remembering(requests, creation)
        stamp = {
            "resourceVersion": metadata["resourceVersion"],
            "labels": object_ids.lasting(known),
            "annotations": changed,
            "ownerReferences": _owners(instance),  # a former agent of this name may own it, and take it along
        }
        patch = {"metadata": stamp, "spec": spec}
        check(ToolBinding, {**known, "spec": _given({**known["spec"], **spec})}, _SENT_NAMES)
        return await self.client.patch(TOOL_BINDINGS, metadata["namespace"], metadata["name"], patch, strict=True)


def _name(agent: str, tool: str) -> str:
    """Return the name of the ToolBinding of a pair."""
    return f"binding-{hashlib.sha256(f'{agent}/{tool}'.encode()).hexdigest()[:_NAME_DIGITS]}"


def _owners(instance: SympoziumInstance) -> list[Object]:
    """Return the owners of an instance's ToolBindings, as the operator keeps them."""
    return [{**owner_reference(instance), "controller": False}]


def _requests(body: Object) -> dict[str, str]:
    """Return the digests of the requests with an Idempotency-Key that made a ToolBinding what it is, by the key's id."""
    text = (body["metadata"].get("annotations") or {}).get(names.ANNOTATION_REQUESTS, "{}")
    try:
        found = json.loads(text)
    except ValueError:
        return {}  # edited by hand
    return {str(key): str(digest) for key, digest in found.items()} if isinstance(found, dict) else {}


def _remembering(requests: dict[str, str], creation: Creation) -> dict[str, str]:
    """Return the annotation that remembers a request with an Idempotency-Key beside the newest others."""
    if creation.digest is None:
        return {}
    newest = [*requests.items(), (creation.id, creation.digest)][-_REMEMBERED:]
    return {names.ANNOTATION_REQUESTS: json.dumps(dict(newest))}


def _given(spec: Object) -> Object:
    return {key: value for key, value in spec.items() if value is not None}


def _is_going(body: Object) -> bool:
    return bool(body["metadata"].get("deletionTimestamp"))


def _age(body: Object) -> tuple[str, str]:
    return body["metadata"]["creationTimestamp"], body["metadata"]["name"]
