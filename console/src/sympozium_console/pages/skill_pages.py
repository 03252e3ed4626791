"""The list of SkillPacks, and the page of one."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from sympozium_console import console_context
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.instance_tabs import Namespace
from sympozium_console.pages.instance_yaml import masked, written
from sympozium_console.pages.page_query import FormQuery
from sympozium_console.pages.rendering import render
from sympozium_console.routes.access import visible
from sympozium_console.routes.params import ListQuery, Name
from sympozium_console.routes.skill_packs import users_of
from sympozium_domain.object_pages import without_managed_fields
from sympozium_http.refusal import Refusal

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)


class SkillsQuery(FormQuery, ListQuery):
    """The query of the list."""


@router.get("/skills")
async def get_skills_page(request: Request, params: Annotated[SkillsQuery, Query()]) -> Response:
    """Return the SkillPacks."""
    seen, skills = visible(request), console_context.of_request(request).skills
    packs = await skills.packs(seen.namespace, seen.namespaces)
    return render(
        request,
        "skills.html",
        title="Skills",
        packs=sorted(packs, key=lambda pack: (pack["name"], pack["namespace"])),
        namespaces=seen.namespaces,
        params=params,
    )


@router.get("/skills/{namespace}/{name}")
async def get_skill_page(request: Request, namespace: Namespace, name: Name) -> Response:
    """Return a SkillPack with its texts and its users."""
    pack = await console_context.of_request(request).skills.find(namespace, name)
    if pack is None:
        raise Refusal(404, "NotFound", f"There is no SkillPack {name} in namespace {namespace}, and no built-in one.")
    stored = without_managed_fields(pack)
    return render(
        request,
        "skill.html",
        title=name,
        pack=stored,
        users=await users_of(request, pack),
        is_built_in=console_context.of_request(request).skills.is_built_in(pack),
        text=await written({key: value for key, value in masked(stored).items() if key != "status"}),
    )
