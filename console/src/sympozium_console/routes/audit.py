"""The route of the audit."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from sympozium_archive.audit_log import AuditFilter, AuditLog
from sympozium_console.history_models import Audit, Change
from sympozium_console.routes.access import visible
from sympozium_console.routes.archive import ArchiveQuery, answer, archive_of
from sympozium_console.routes.params import REFUSALS, Text, authenticate

router = APIRouter(tags=["history"], dependencies=[Depends(authenticate)], responses=REFUSALS)


class AuditQuery(ArchiveQuery):
    """The query of one page of changes."""

    actor: Annotated[Text, Field(description="Only changes by the key of this name.")] = None
    action: Annotated[Text, Field(description="Only changes of this kind, such as ``update`` or ``cancel``.")] = None
    resource: Annotated[Text, Field(description="Only changes of objects of this name.")] = None
    status: Annotated[int | None, Field(ge=100, le=599, description="Only changes with this HTTP status.")] = None


@router.get("/api/v1/audit", response_model=Audit)
async def list_audit(request: Request, params: Annotated[AuditQuery, Query()]) -> Response:
    """Return one page of changes and of refused calls, newest first."""
    seen = visible(request)
    conditions = AuditFilter(
        namespace=seen.namespace,
        namespaces=seen.namespaces,
        actor=params.actor,
        user=params.user,
        action=params.action,
        resource=params.resource,
        status=params.status,
        since=params.from_,
        until=params.to,
    )
    changes = await AuditLog(archive_of(request)).page(conditions, limit=params.limit, offset=params.offset)
    items = [Change.of_change(change) for change in changes]
    return answer(Audit(items=items, limit=params.limit, offset=params.offset))
