"""Routes that any caller may ask: about itself, the namespaces that it may list in, and the console's version."""

import asyncio
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from sympozium_api import names
from sympozium_api.names import DNS_LABEL
from sympozium_api.resources import CONFIGS, INSTANCES, RUNS, ResourceType
from sympozium_console import console_context
from sympozium_console.console_fact_models import (
    CallerAnswer,
    Features,
    NamespaceAnswer,
    NamespaceList,
    VersionAnswer,
)
from sympozium_console.routes.access import may_see, rights_of_routes
from sympozium_console.routes.archive import answer
from sympozium_console.routes.params import REFUSALS, NoQuery, ObjectQuery, authenticate, caller_of

router = APIRouter(tags=["callers"], dependencies=[Depends(authenticate)], responses=REFUSALS)


class CallerQuery(NoQuery):
    """The query about the caller."""

    namespace: Annotated[
        str | None,
        Field(
            pattern=f"^{DNS_LABEL}$",
            description="Namespace in which ``may`` holds. Omitted: that of the API key, else ``default``.",
        ),
    ] = None


@router.get("/api/v1/me", response_model=CallerAnswer)
async def get_caller(request: Request, params: Annotated[CallerQuery, Query()]) -> Response:
    """Return the caller, and what it may do in a namespace."""
    caller = caller_of(request)
    namespace = params.namespace or caller.namespace or ObjectQuery().namespace
    may = await rights_in(request, namespace)
    return answer(CallerAnswer.of(caller, namespace, may))


async def rights_in(request: Request, namespace: str) -> dict[str, list[str]]:
    """Return what the caller may do in a namespace: verbs by the plural names of kinds."""
    rights = sorted(rights_of_routes().items(), key=lambda item: item[0].plural)
    own = console_context.of_request(request).settings.namespace
    verbs = await asyncio.gather(
        *(_allowed(request, kind, taken, own if kind == CONFIGS else namespace) for kind, taken in rights)
    )
    return {kind.plural: allowed for (kind, _), allowed in zip(rights, verbs, strict=True)}


async def _allowed(request: Request, kind: ResourceType, verbs: frozenset[str], namespace: str) -> list[str]:
    """Return those of some verbs that the caller may use on a kind in a namespace, sorted."""
    ordered = sorted(verbs)
    allowed = await asyncio.gather(*(may_see(request, verb, kind, namespace) for verb in ordered))
    return [verb for verb, is_allowed in zip(ordered, allowed, strict=True) if is_allowed]


@router.get("/api/v1/namespaces", response_model=NamespaceList)
async def list_namespaces(request: Request, _: Annotated[NoQuery, Query()]) -> Response:
    """Return the namespaces that the console serves and in which the caller may list instances or runs."""
    rights = console_context.of_request(request).callers.rights
    found = await rights.namespaces_of_any(caller_of(request), "list", INSTANCES, RUNS)
    return answer(NamespaceList(items=[NamespaceAnswer(name=name) for name in found]))


@router.get("/api/v1/version", response_model=VersionAnswer)
async def get_version(request: Request, _: Annotated[NoQuery, Query()]) -> Response:
    """Return the version of the console, and which parts of the installation are on."""
    settings = console_context.of_request(request).settings
    features = Features(archive=settings.archive is not None, oidc=settings.issuer is not None)
    return answer(VersionAnswer(version=version("sympozium"), api_version=names.API_VERSION, features=features))
