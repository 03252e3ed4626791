"""The ground of all pages: signing in and out, the shell, what browsers may do, and the list of instances."""

import pytest
from tests.integration.console.conftest import Console
from tests.integration.pages.conftest import NARROW, TOKEN, Shoot, Visit, accessible, fits

from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import INSTANCES

SCHEMES = ("light", "dark")


async def test_a_stranger_signs_in_by_the_form_comes_back_to_the_page_and_signs_out(visit: Visit, shoot: Shoot) -> None:
    visitor = await visit(None)
    page = await visitor.open("/instances?phase=Serving")
    assert "/login?next=" in page.url
    await accessible(page)
    await shoot(page, "login")
    await page.get_by_label("Token").fill("wrong")
    await page.keyboard.press("Enter")
    await page.get_by_text("not valid here").wait_for()
    await accessible(page)
    await page.get_by_label("Token").fill(TOKEN)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/instances?phase=Serving")
    [cookie] = await visitor.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("sympozium", True, "Lax")
    assert TOKEN not in cookie["value"]
    await page.get_by_role("button", name="token").click()
    await accessible(page)
    await shoot(page, "account")
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/login")
    assert await visitor.context.cookies() == []


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_instances_are_listed_and_filtered_in_the_address(
    console: Console, visit: Visit, shoot: Shoot, scheme: str
) -> None:
    visitor = await visit(color_scheme=scheme)
    page = await visitor.open("/instances")
    await accessible(page)
    await shoot(page, f"instances-{scheme}")
    assert await page.get_by_role("row").count() == 2
    await page.get_by_label("Phase").select_option("Error")
    await page.get_by_role("heading", name="No instances match").wait_for()
    assert "phase=Error" in page.url
    await accessible(page)
    await page.get_by_role("link", name="Clear filters").click()
    await page.get_by_role("link", name="demo").wait_for()


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_phone_has_the_navigation_behind_a_button(visit: Visit, shoot: Shoot, scheme: str) -> None:
    visitor = await visit(viewport=NARROW, color_scheme=scheme)
    page = await visitor.open("/instances")
    await fits(page)
    await accessible(page)
    await shoot(page, f"instances-narrow-{scheme}")
    await page.get_by_role("button", name="Navigation").click()
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Instances").wait_for()
    await accessible(page)


async def test_pages_are_read_and_filtered_without_scripts(visit: Visit) -> None:
    visitor = await visit(java_script_enabled=False)
    page = await visitor.open("/instances")
    await page.get_by_label("Name or title").fill("none")
    await page.get_by_role("button", name="Filter").click()
    await page.get_by_role("heading", name="No instances match").wait_for()


async def test_a_session_that_ends_in_a_form_keeps_what_was_typed(console: Console, visit: Visit, shoot: Shoot) -> None:
    visitor = await visit()
    page = await visitor.open("/instances/default/demo/overview")
    await page.get_by_label("Title").fill("Typed before the end")
    await visitor.context.clear_cookies()
    await page.get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog", name="Your session has ended")
    await dialog.wait_for()
    await accessible(page)
    await shoot(page, "signed-out")
    await dialog.get_by_label("Token").fill("wrong")
    await page.keyboard.press("Enter")
    await dialog.get_by_text("not valid here").wait_for()
    await dialog.get_by_label("Token").fill(TOKEN)
    await page.keyboard.press("Enter")
    await page.get_by_text("Saved.").wait_for()
    assert console.kubernetes.object(INSTANCES, "demo")["spec"]["title"] == "Typed before the end"


async def test_a_page_that_the_api_server_cannot_give_now_tries_again_by_itself(console: Console, visit: Visit) -> None:
    visitor = await visit()
    console.kubernetes.refuse("get", INSTANCES, ApiUnavailable("away"))
    page = await visitor.open("/instances/default/demo/overview")
    await page.get_by_role("heading", name="demo", exact=True).wait_for()
    assert await page.evaluate("performance.getEntriesByType('navigation')[0].type") == "reload"
