"""Rights of a page's caller to runs, so that a page says beforehand what would be refused."""

from dataclasses import dataclass

from fastapi import Request

from sympozium_api.resources import RUNS
from sympozium_console.routes.access import may_see
from sympozium_console.routes.params import caller_of


@dataclass(frozen=True)
class RunRights:
    """Changes of runs that a caller may make, each with the reason why not; empty: it may."""

    cancel: str = ""
    delete: str = ""
    repeat: str = ""


async def rights_on_runs(request: Request, namespace: str | None) -> RunRights:
    """Return what the caller may do in a namespace; without one everything, because the change itself asks for each run."""
    if namespace is None:
        return RunRights()
    return RunRights(
        cancel=await _missing(request, "patch", namespace),
        delete=await _missing(request, "delete", namespace),
        repeat=await _missing(request, "create", namespace),
    )


async def _missing(request: Request, verb: str, namespace: str) -> str:
    if await may_see(request, verb, RUNS, namespace):
        return ""
    return f"{caller_of(request).user} needs the right to {verb} {RUNS.plural}.{RUNS.group} in namespace {namespace}."
