"""The tab of an instance's skills: which SkillPacks it has, with their params."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response

from sympozium_api.client import ApiError
from sympozium_api.resources import SKILL_PACKS, Object
from sympozium_console import console_context
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.form_conflicts import FormState, beginning_of
from sympozium_console.pages.forms import read_fields
from sympozium_console.pages.instance_tabs import Namespace, render_tab, stored_instance
from sympozium_console.pages.page_changes import NO_FAULTS, Faults, faults_of, patch_instance
from sympozium_console.routes.access import may_see
from sympozium_console.routes.params import Name
from sympozium_http.refusal import Refusal

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

_CHOSEN = "skill"
_PARAM = "param"
_ON = "on"


class _SkillField(NamedTuple):
    """A SkillPack, or one of its params, as a field of the form."""

    path: str
    label: str

    @classmethod
    def of(cls, path: str) -> "_SkillField":
        _, pack, *param = path.split("/", 2)
        return cls(path, ": ".join((pack, *param)))


@router.get("/instances/{namespace}/{name}/skills")
async def get_skills_tab(request: Request, namespace: Namespace, name: Name) -> Response:
    """Return the tab."""
    return await _page(request, namespace, name)


@router.post("/instances/{namespace}/{name}/skills")
async def post_skills_tab(request: Request, namespace: Namespace, name: Name) -> Response:
    """Give the instance the SkillPacks that were chosen. Its skills of ConfigMaps stay."""
    fields = await read_fields(request)
    instance = await stored_instance(request, namespace, name)
    skills = chosen_skills(instance["spec"].get("skills") or [], fields)
    if skills == (instance["spec"].get("skills") or []):
        return await _page(request, namespace, name, saved="")
    try:
        line = await patch_instance(request, namespace, name, {"skills": skills}, dict(fields))
    except (Refusal, ApiError) as error:
        return await _page(request, namespace, name, faults=faults_of(error, "spec"), typed=fields)
    return await _page(request, namespace, name, saved=line)


def chosen_skills(skills: list[Object], fields: list[tuple[str, str]]) -> list[Object]:
    """Return the skills of an instance as a form wants them: in their order, new ones last. Pure."""
    chosen = list(dict.fromkeys(value for name, value in fields if name == _CHOSEN))
    params: dict[str, dict[str, str]] = {}
    for name, value in fields:
        kind, _, rest = name.partition("/")
        pack, _, param = rest.partition("/")
        if kind == _PARAM and param:
            params.setdefault(pack, {})[param] = value
    kept = [skill for skill in skills if not skill.get("skillPackRef") or skill["skillPackRef"] in chosen]
    present = {skill.get("skillPackRef") for skill in kept}
    wanted = kept + [{"skillPackRef": pack} for pack in chosen if pack not in present]
    return [_with_params(skill, params.get(skill.get("skillPackRef", ""), {})) for skill in wanted]


def _with_params(skill: Object, params: dict[str, str]) -> Object:
    """Return a skill with params; an empty one is taken away, so that the default holds."""
    merged = {**(skill.get("params") or {}), **params}
    filled = {name: value for name, value in merged.items() if value}
    rest: dict[str, Any] = {name: value for name, value in skill.items() if name != "params"}
    return rest | ({"params": filled} if filled else {})


def _values(skills: list[Object]) -> dict[str, str]:
    """Return the skills of SkillPacks as values of the form. Pure."""
    found: dict[str, str] = {}
    for skill in skills:
        if pack := skill.get("skillPackRef"):
            found[f"{_CHOSEN}/{pack}"] = _ON
            found |= {f"{_PARAM}/{pack}/{param}": value for param, value in (skill.get("params") or {}).items()}
    return found


def form_of(skills: list[Object], typed: list[tuple[str, str]] | None, faults: Faults) -> FormState:
    """Return the form's state with the stored skills; ``typed``: fields of the attempt to save it. Pure.

    A box without its tick is not sent; a param that is not sent has no field, because its SkillPack is not in the list.
    """
    stored = _values(skills)
    if typed is None:
        return FormState.of(stored, None, faults, ())
    boxes, params = f"{_CHOSEN}/", f"{_PARAM}/"
    sent = {f"{boxes}{value}": _ON for name, value in typed if name == _CHOSEN}
    sent |= {name: value for name, value in typed if name.startswith(params)}
    began = {path: value for path, value in beginning_of(dict(typed)).items() if path.startswith((boxes, params))}
    paths = sorted({*stored, *sent, *began}, key=lambda path: path.split("/", 1)[1])
    unsent = {path: began.get(path, "") if path.startswith(params) else "" for path in paths}
    fields = [_SkillField.of(path) for path in paths]
    was = [(name, value) for name, value in typed if name == "was"]
    return FormState.of(stored, {**unsent, **sent, **dict(was)}, faults, fields)


def _used(values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the params of each SkillPack that is ticked. Pure."""
    used: dict[str, dict[str, str]] = {
        path.split("/", 1)[1]: {} for path in values if values[path] == _ON and path.startswith(f"{_CHOSEN}/")
    }
    for path, value in values.items():
        kind, _, rest = path.partition("/")
        pack, _, param = rest.partition("/")
        if kind == _PARAM and pack in used and value:
            used[pack][param] = value
    return used


async def _page(
    request: Request,
    namespace: str,
    name: str,
    *,
    faults: Faults = NO_FAULTS,
    saved: str | None = None,
    typed: list[tuple[str, str]] | None = None,
) -> Response:
    may_list = await may_see(request, "list", SKILL_PACKS, namespace)
    instance, packs = await asyncio.gather(
        stored_instance(request, namespace, name), _packs(request, namespace) if may_list else _none()
    )
    skills = instance["spec"].get("skills") or []
    form = form_of(skills, typed, faults)
    used = _used(form.values)
    known = {pack["name"] for pack in packs}
    return await render_tab(
        request,
        "instance_skills.html",
        instance,
        "skills",
        status=faults.status,
        packs=sorted(packs, key=lambda pack: (pack["name"] not in used, pack["name"])),
        used=used,
        unknown=[pack for pack in used if pack not in known],
        config_maps=[skill["configMapRef"] for skill in skills if skill.get("configMapRef")],
        may_list=may_list,
        form=form,
        faults=faults,
        saved=saved,
    )


async def _packs(request: Request, namespace: str) -> list[Object]:
    return await console_context.of_request(request).skills.packs(namespace)


async def _none() -> list[Object]:
    return []
