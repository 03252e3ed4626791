"""Whatever a tenant stores, as far as the CRDs accept it: no route of the console answers 500, and no stream of a run breaks."""

import asyncio
from contextlib import aclosing

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.kubernetes import KINDS
from tests.integration.console.conftest import Console, run
from tests.integration.console.test_following_answers import entitled
from tests.strategies import kubernetes_objects as objects
from tests.strategies.examples import FEW

from sympozium_api.resources import EVENTS, RUNS, Object
from sympozium_api.run_status import TERMINAL_PHASES
from sympozium_console import run_events

ROUTES = {"SympoziumInstance": "instances", "AgentRun": "runs", "SkillPack": "skills"}


def remove_all(console: Console) -> None:
    for plural, namespace, name in list(console.kubernetes.objects):
        kind = next(kind for kind in KINDS if kind.plural == plural)
        if (plural, namespace, name) in console.kubernetes.objects:
            console.kubernetes.remove(kind, name, namespace)


@FEW
@given(
    st.lists(
        objects.instances("default") | objects.runs("default") | objects.skill_packs("sympozium-system"),
        min_size=1,
        max_size=4,
    )
)
async def test_every_route_answers_beside_objects_of_any_shape(console: Console, bodies: list[Object]) -> None:
    remove_all(console)
    for body in (*bodies, run("good")):
        console.kubernetes.put(body)
    paths = [f"/api/v1/{route}" for route in ROUTES.values()]
    for body in bodies:
        path, name = ROUTES[body["kind"]], body["metadata"]["name"]
        if path != "skills":
            paths.append(f"/api/v1/{path}/{name}")
        if path == "instances":
            paths.append(f"/api/v1/instances/{name}/web-endpoint")
    answers = {path: (await console.http.get(path)).status_code for path in paths}
    assert set(answers.values()) == {200}, answers
    changes = [
        (await console.http.post(f"/api/v1/runs/{body['metadata']['name']}/cancel")).status_code
        for body in bodies
        if body["kind"] == "AgentRun"
    ]
    assert 500 not in changes
    listed = (await console.http.get("/api/v1/runs", params={"limit": 100})).json()["items"]
    assert "good" in [item["metadata"]["name"] for item in listed]


@FEW
@given(objects.runs("default", "any"), st.lists(objects.events("default", about="any"), max_size=3))
async def test_the_stream_of_a_run_of_any_shape_ends_with_it(
    console: Console, any_run: Object, events: list[Object]
) -> None:
    remove_all(console)
    for body in (*events, any_run):
        console.kubernetes.put(body)
    ended, told = any_run["status"].get("phase") in TERMINAL_PHASES, []

    async def follow() -> None:
        runs, followed = console.context.instance_runs, run_events.FollowedRun("default", "any", after=0)
        stop = asyncio.Event()
        async with aclosing(run_events.follow(console.kubernetes, runs, followed, stop=stop, judge=entitled)) as stream:
            async for event in stream:
                told.append(event.event)
                if not ended and "any" in console.kubernetes.names(RUNS):
                    console.kubernetes.remove(RUNS, "any")

    await asyncio.wait_for(follow(), 60)
    assert told[-1] == ("status" if ended else "deleted")
    assert told.count("event") <= len(console.kubernetes.names(EVENTS))
