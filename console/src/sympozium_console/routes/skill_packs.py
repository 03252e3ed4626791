"""The route of SkillPacks."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from sympozium_console import console_context, openapi_models
from sympozium_console.routes.access import visible
from sympozium_console.routes.params import REFUSALS, ListQuery, authenticate

router = APIRouter(tags=["skills"], dependencies=[Depends(authenticate)], responses=REFUSALS)


@router.get("/api/v1/skills", response_model=openapi_models.SkillList)
async def list_skills(request: Request, _: Annotated[ListQuery, Query()]) -> Response:
    """Return the SkillPacks that instances of a namespace may name, with their parameters."""
    seen = visible(request)
    packs = await console_context.of_request(request).skills.packs(seen.namespace, seen.namespaces)
    return JSONResponse({"items": packs})
