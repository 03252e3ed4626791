"""Routes of SkillPacks and of their users."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from sympozium_api.resources import INSTANCES, Object
from sympozium_console import console_context, openapi_models
from sympozium_console.routes.access import visible
from sympozium_console.routes.params import REFUSALS, ListQuery, Name, ObjectParams, authenticate, caller_of
from sympozium_http.refusal import Refusal

router = APIRouter(tags=["skills"], dependencies=[Depends(authenticate)], responses=REFUSALS)


@router.get("/api/v1/skills", response_model=openapi_models.SkillList)
async def list_skills(request: Request, _: Annotated[ListQuery, Query()]) -> Response:
    """Return the SkillPacks that instances of a namespace may name, with their parameters."""
    seen = visible(request)
    packs = await console_context.of_request(request).skills.packs(seen.namespace, seen.namespaces)
    return JSONResponse({"items": packs})


@router.get("/api/v1/skills/{name}", response_model=openapi_models.SkillDetail)
async def get_skill(request: Request, name: Name, params: ObjectParams) -> Response:
    """Return the SkillPack that instances of a namespace mean by a name, their own or a built-in one, and its users."""
    context = console_context.of_request(request)
    pack = await context.skills.find(params.namespace, name)
    if pack is None:
        message = f"There is no SkillPack {name} in namespace {params.namespace}, and no built-in one."
        raise Refusal(404, "NotFound", message)
    users = await users_of(request, pack)
    return JSONResponse({"pack": pack, "builtIn": context.skills.is_built_in(pack), "usedBy": users})


async def users_of(request: Request, pack: Object) -> list[Object]:
    """Return the instances that name a pack, of those that the caller may list."""
    context, name = console_context.of_request(request), pack["metadata"]["name"]
    context.feed.require_instances()
    listed = await context.callers.rights.namespaces(caller_of(request), "list", INSTANCES)
    users = context.feed.instances.users(name, listed)
    if context.skills.is_built_in(pack):
        others = await context.skills.namespaces_with(name)
        found = [key for key in users if key[0] not in others]
    else:
        found = [key for key in users if key[0] == pack["metadata"]["namespace"]]
    return [{"namespace": namespace, "name": user} for namespace, user in found]
