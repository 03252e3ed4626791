"""SkillPacks."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from sympozium_console import context, models
from sympozium_console.routes.asked import REFUSALS, OfNamespace, authenticate

router = APIRouter(tags=["skills"], dependencies=[Depends(authenticate)], responses=REFUSALS)


@router.get("/api/v1/skills", response_model=models.SkillList)
async def list_skills(request: Request, asked: Annotated[OfNamespace, Query()]) -> Response:
    """The SkillPacks that instances of a namespace may name, with their parameters."""
    return JSONResponse({"items": await context.of(request).skills.packs(asked.space)})
