"""Lists that stay true while they are looked at: changes come in place, and a stream that is lost is told of."""

import asyncio
from typing import Any

from playwright.async_api import Route
from tests.fakes.open_watches import WatchResponse
from tests.integration.conftest import eventually, instance
from tests.integration.console.conftest import Console, run
from tests.integration.console.run_logs_world import with_log
from tests.integration.pages.conftest import Visit, accessible

from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import INSTANCES


def named(name: str, **status: Any) -> dict[str, Any]:
    found = instance()
    return found | {"metadata": found["metadata"] | {"name": name}, "status": status}


async def test_changes_come_in_place_and_move_neither_focus_nor_the_page(console: Console, visit: Visit) -> None:
    names = [f"agent-{number:02}" for number in range(40)]
    for name in names:
        console.kubernetes.put(named(name, phase="Pending"))
    visitor = await visit()
    page = await visitor.open("/instances")
    await page.get_by_text("Live", exact=True).wait_for()
    await accessible(page)
    link = page.get_by_role("link", name="agent-30")
    await link.focus()
    kept = await link.evaluate_handle("link => { window.before = link.getBoundingClientRect().top; return link; }")
    for number in range(100):
        console.kubernetes.put(named(names[number % 40], phase="Serving" if number < 60 else "Running"))
        await asyncio.sleep(0)
    console.kubernetes.put(named("agent-00-new", phase="Error"))
    await page.get_by_role("link", name="agent-00-new").wait_for()
    await page.wait_for_function("() => document.querySelectorAll('tbody .phase-active').length >= 39")
    place = "link => [link === document.activeElement, Math.abs(link.getBoundingClientRect().top - window.before) < 2]"
    assert await kept.evaluate(place) == [True, True]
    console.kubernetes.remove(INSTANCES, "agent-00-new")
    await page.get_by_role("link", name="agent-00-new").wait_for(state="detached")


async def test_one_stream_per_tab_none_while_it_is_hidden_and_its_loss_is_told(console: Console, visit: Visit) -> None:
    visitor = await visit()
    page = await visitor.open("/instances")
    await page.get_by_text("Live", exact=True).wait_for()
    streams = console.context.feed.open_streams._value.get
    await eventually(lambda: streams() == 1)
    await page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", {get: () => window.isAway, configurable: true});
            window.isAway = true;
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    await eventually(lambda: streams() == 0)
    console.kubernetes.put(named("meanwhile", phase="Running"))
    await page.evaluate("() => { window.isAway = false; document.dispatchEvent(new Event('visibilitychange')); }")
    await page.get_by_role("link", name="meanwhile").wait_for()

    console.context.draining.set()
    await page.get_by_text("Not live since").wait_for()
    await accessible(page)
    console.context.draining.clear()
    await page.get_by_text("Live", exact=True).wait_for()
    await page.get_by_text("Not live since").wait_for(state="detached")


async def test_a_session_that_is_over_ends_the_stream(console: Console, visit: Visit) -> None:
    visitor = await visit()
    page = await visitor.open("/instances")
    await page.get_by_text("Live", exact=True).wait_for()
    await visitor.context.clear_cookies()
    console.context.draining.set()
    await page.get_by_text("Signed out").wait_for()
    console.context.draining.clear()


async def test_an_instance_that_is_deleted_stays_in_sight_with_its_time(console: Console, visit: Visit) -> None:
    console.kubernetes.put(named("goes", phase="Serving"))
    page = await (await visit()).open("/instances/default/goes/overview")
    await page.get_by_text("Live", exact=True).wait_for()
    console.kubernetes.remove(INSTANCES, "goes")
    await page.get_by_text("Below is the last known state.").wait_for()
    assert await page.get_by_role("heading", name="goes").count() == 1
    await accessible(page)
    console.clock.advance(130)
    answer = await page.reload()
    assert answer
    assert answer.status == 410
    await page.get_by_text("The instance goes in namespace default was deleted 2 min ago.").wait_for()
    await accessible(page)


async def test_a_log_follows_while_it_is_looked_at(console: Console, visit: Visit) -> None:
    log = WatchResponse()
    with_log(console.kubernetes, run("logs") | {"status": {"phase": "Running"}}, log)
    log.lines.put_nowait(b"one\n")
    page = await (await visit()).open("/runs/default/logs")
    await page.get_by_role("link", name="Log", exact=True).click()
    await page.get_by_text("one", exact=True).wait_for()
    log.lines.put_nowait(b"two\n")
    await page.locator("pre", has_text="two").wait_for()
    log.lines.put_nowait(None)
    await page.get_by_text("The log has ended").wait_for()
    await accessible(page)


async def test_a_page_that_cannot_be_renewed_says_as_of_when_it_is_and_tries_again(
    console: Console, visit: Visit
) -> None:
    console.kubernetes.put(named("dated", phase="Pending"))
    page = await (await visit()).open("/instances/default/dated/overview")
    await page.get_by_text("Live", exact=True).wait_for()
    console.kubernetes.refuse("get", INSTANCES, ApiUnavailable("away"))
    console.kubernetes.put(named("dated", phase="Serving"))
    await page.get_by_text("As of").wait_for()
    await page.locator("#live-head .phase", has_text="Serving").wait_for()
    await page.get_by_text("Live", exact=True).wait_for()


async def test_a_page_says_that_it_waits_and_that_the_console_was_upgraded(console: Console, visit: Visit) -> None:
    visitor = await visit()
    page = await visitor.open("/instances")
    sent = asyncio.Event()

    async def hold(route: Route) -> None:
        await sent.wait()
        await route.continue_()

    await page.route("**/instances?*", hold)
    await page.get_by_label("Name or title").fill("nothing-like-it")
    await page.locator("#main[aria-busy=true]").wait_for()
    await accessible(page)
    await page.evaluate("document.documentElement.dataset.pages = 'before'")
    sent.set()
    await page.get_by_role("heading", name="No instances match").wait_for()
    await page.locator("#main:not([aria-busy])").wait_for()
    await page.get_by_role("link", name="Reload for the new version").click()
    await page.get_by_role("heading", name="No instances match").wait_for()
    assert await page.get_by_text("has been upgraded").count() == 0
    await accessible(page)
