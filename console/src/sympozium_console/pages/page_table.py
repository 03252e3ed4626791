"""The pages: their modules, and the right that each of them takes."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from sympozium_api.resources import CONFIGS, INSTANCES, RUNS, SKILL_PACKS
from sympozium_console.pages import (
    about,
    config_page,
    instance_events_tab,
    instance_overview,
    instance_skills,
    instance_web_endpoint,
    instance_yaml,
    instances,
    new_instance,
    overview,
    run_changes,
    run_detail,
    run_list,
    skill_pages,
    usage,
)
from sympozium_console.pages.chat import chat_pages
from sympozium_console.routes.access import SUMMARIES, AnyCaller, Need, authorize_need, require
from sympozium_console.routes.params import authenticate

PAGES = (
    instances,
    new_instance,  # before the pages of one instance, whose paths it would match
    skill_pages,
    config_page,
    about,
    instance_overview,
    instance_web_endpoint,
    instance_skills,
    instance_events_tab,
    instance_yaml,
    run_list,
    run_changes,
    run_detail,
    usage,
    overview,
    chat_pages,
)
"""Modules with pages, each with a ``router``."""

_OF_INSTANCE = "/instances/{namespace}/{name}/"

PAGE_NEEDS: dict[tuple[str, str], Need | AnyCaller] = {
    ("GET", "/about"): AnyCaller(),
    ("GET", "/skills"): Need("list", SKILL_PACKS, "list"),
    ("GET", "/skills/{namespace}/{name}"): Need("get", SKILL_PACKS),
    ("GET", "/config"): Need("get", CONFIGS, "installation"),
    ("POST", "/config"): Need("get", CONFIGS, "installation"),  # the page takes the right to create or to update
    ("GET", "/"): Need("list", RUNS, "list", SUMMARIES),
    ("GET", "/usage"): Need("list", RUNS, "list", SUMMARIES),
    ("GET", "/usage.csv"): Need("list", RUNS, "list", SUMMARIES),
    ("GET", "/instances"): Need("list", INSTANCES, "list"),
    ("GET", "/instances/new"): AnyCaller(),
    ("POST", "/instances/new"): AnyCaller(),  # the page takes the right in the namespace that its form names
    ("GET", "/instances/{namespace}/{name}"): Need("get", INSTANCES),
    ("GET", "/instances/{namespace}/{name}/overview"): Need("get", INSTANCES),
    ("GET", "/instances/{namespace}/{name}/web-endpoint"): Need("get", INSTANCES),
    ("GET", "/instances/{namespace}/{name}/skills"): Need("get", INSTANCES),
    ("GET", "/instances/{namespace}/{name}/pool"): Need("get", INSTANCES),
    ("GET", "/instances/{namespace}/{name}/events"): Need("get", INSTANCES),
    ("GET", "/instances/{namespace}/{name}/yaml"): Need("get", INSTANCES),
    ("POST", "/instances/{namespace}/{name}/overview"): Need("patch", INSTANCES),
    ("POST", "/instances/{namespace}/{name}/web-endpoint"): Need("patch", INSTANCES),
    ("POST", "/instances/{namespace}/{name}/skills"): Need("patch", INSTANCES),
    ("POST", "/instances/{namespace}/{name}/pool"): Need("patch", INSTANCES),
    ("POST", "/instances/{namespace}/{name}/yaml"): Need("update", INSTANCES),
    ("POST", "/instances/{namespace}/{name}/delete"): Need("delete", INSTANCES),
    ("GET", "/instances/{namespace}/{name}/runs"): Need("get", INSTANCES),
    ("GET", "/runs"): Need("list", RUNS, "list", SUMMARIES),
    ("GET", "/runs/{namespace}/{name}"): Need("get", RUNS, or_of=SUMMARIES),
    ("POST", "/runs/selected"): AnyCaller(),  # each run takes its own right
    ("POST", "/runs/{namespace}/{name}/{action}"): AnyCaller(),  # each action takes its own right
    ("GET", "/instances/{namespace}/{name}/chat"): Need("get", INSTANCES),
    ("POST", "/instances/{namespace}/{name}/chat"): Need("create", RUNS),
    ("GET", "/instances/{namespace}/{name}/chat/{conversation}"): Need("get", RUNS),
    ("GET", "/instances/{namespace}/{name}/chat/{run}/events"): Need("watch", RUNS),
    ("GET", "/instances/{namespace}/{name}/chat/{run}/request"): Need("get", RUNS),
}
"""Needs by method and path, as in ``routes.access.NEEDS``. A page that the table does not have is for tokens of the installation only."""


async def authorize_page(request: Request, _: Annotated[None, Depends(authenticate)]) -> None:
    """Raise Refusal 403 unless the caller has the right that the page takes."""
    path = request.scope["route"].path
    await authorize_need(request, PAGE_NEEDS.get((request.method, path)))
    if (
        request.method == "POST" and path.startswith(_OF_INSTANCE) and not path.endswith("/delete")
    ):  # its answer shows it
        await require(request, "get", INSTANCES, request.path_params["namespace"])
