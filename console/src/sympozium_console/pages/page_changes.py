"""Changes that pages make: recorded in the audit before they are made, with what is wrong in them told at their fields."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from sympozium_api.client import ApiError
from sympozium_api.resources import INSTANCES, Object, ResourceType
from sympozium_archive.audit_log import AuditEntry
from sympozium_console import console_context, refusals
from sympozium_console.preconditions import Precondition
from sympozium_console.refusals import InvalidFields
from sympozium_console.routes.audited import begin_change
from sympozium_console.routes.params import caller_of
from sympozium_domain.audit.changed_fields import changed_fields
from sympozium_http import request_state
from sympozium_http.refusal import Refusal

_SURFACE = "pages"
_CHANGED_MEANWHILE = 412


@dataclass(frozen=True)
class Faults:
    """Faults of a form."""

    message: str = ""
    """Fault of the whole form; empty: nothing is wrong."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Faults by field."""
    status: int = 200
    is_conflict: bool = False
    """True if somebody else has changed the object since the form was made."""


NO_FAULTS = Faults()


def faults_of(error: Refusal | ApiError, under: str = "") -> Faults:
    """Return what a refusal means for a form whose fields are named by their paths below ``under``."""
    refusal = refusals.of_api_error(error) if isinstance(error, ApiError) else error
    found = refusal.fields if isinstance(refusal, InvalidFields) else ()
    fields = {path.removeprefix(f"{under}.").partition("[")[0]: message for path, message in found}
    return Faults(refusal.message, fields, refusal.status, is_conflict=refusal.status == _CHANGED_MEANWHILE)


async def begin_page_change(
    request: Request, verb: str, kind: ResourceType, namespace: str, name: str, *, body: Object | None = None
) -> None:
    """Record a change before it is made. ``body`` sets its fields. Raises Refusal 503 if the audit cannot be written."""
    caller = caller_of(request)
    entry = AuditEntry(
        namespace=namespace,
        actor=request_state.of(request).key_id,
        user=None if caller.is_admin else caller.user,
        surface=_SURFACE,
        action=verb,
        kind=kind.kind,
        resource=name,
        fields=changed_fields(kind.kind, body) if body else (),
    )
    await begin_change(request, entry)


def precondition_of(form: Mapping[str, str]) -> Precondition:
    """Return the condition that the object is as it was when the form was made, which its field ``tag`` says; without a tag, that it is
    there: the right to change an object is none to create one.
    """
    tag = form.get("tag", "")
    return Precondition(frozenset({tag} if tag else ()))


def kubectl_patch(kind: ResourceType, namespace: str, name: str, spec: Object) -> str:
    """Return the command of kubectl that merges fields into the spec of an object."""
    patch = shlex.quote(json.dumps({"spec": spec}, ensure_ascii=False))
    return f"kubectl -n {namespace} patch {kind.plural}.{kind.group} {name} --type merge -p {patch}"


async def patch_instance(request: Request, namespace: str, name: str, spec: Object, form: Mapping[str, str]) -> str:
    """Merge fields into the spec of an instance, if it is as ``form`` saw it. Return the command of kubectl that does the same.

    Raises Refusal and ApiError.
    """
    await begin_page_change(request, "patch", INSTANCES, namespace, name, body={"spec": spec})
    instances = console_context.of_request(request).instances
    await instances.patch(namespace, name, {"spec": spec}, precondition_of(form))
    return kubectl_patch(INSTANCES, namespace, name, spec)


def merge_patch(old: Any, new: Any) -> Any:
    """Return the merge patch (RFC 7386) that makes ``new`` of ``old``; both are objects."""
    patch: Object = {name: None for name in old if name not in new}
    for name, value in new.items():
        if name not in old or (value != old[name] and not (isinstance(value, dict) and isinstance(old[name], dict))):
            patch[name] = value
        elif value != old[name]:
            patch[name] = merge_patch(old[name], value)
    return patch
