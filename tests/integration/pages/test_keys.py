"""Keys of all pages, the palette, and what no script of a page may do."""

import asyncio
from contextlib import suppress

from playwright.async_api import TimeoutError as NotShown
from playwright.async_api import expect
from tests.integration.pages.conftest import Shoot, Visit, accessible


async def test_pages_are_reached_by_two_keys_and_rows_by_one(visit: Visit) -> None:
    page = await (await visit()).open("/about")
    async with asyncio.timeout(60):
        while not page.url.endswith("/instances"):  # the second key counts for a second and a half
            await page.keyboard.press("g")
            await page.keyboard.press("i")
            with suppress(NotShown):
                await page.wait_for_url("**/instances", timeout=5_000)
    await page.keyboard.press("/")
    await expect(page.get_by_label("Name or title")).to_be_focused()
    await page.keyboard.type("gj?")  # typed, not acted on
    await expect(page.get_by_label("Name or title")).to_have_value("gj?")
    await page.goto(page.url.partition("?")[0])
    for key in ("j", "y"):
        await page.keyboard.press(key)
    await page.wait_for_url("**/instances/default/demo/yaml")
    await page.keyboard.press("e")
    await page.wait_for_url("**/instances/default/demo/yaml?edit=true")


async def test_the_help_lists_the_keys_and_a_switch_turns_them_off(visit: Visit, shoot: Shoot) -> None:
    page = await (await visit()).open("/about")
    await page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    await dialog.wait_for()
    await accessible(page)
    await shoot(page, "keys")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await page.get_by_role("button", name="token").click()
    await page.get_by_role("switch", name="Keys").uncheck()
    await page.reload()
    for keys in ("?", "Control+k"):
        await page.keyboard.press(keys)
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.get_by_role("button", name="token").click()
    await page.get_by_role("button", name="Which keys there are").click()
    await dialog.wait_for()


async def test_the_palette_goes_to_an_instance_by_a_part_of_its_name(visit: Visit, shoot: Shoot) -> None:
    page = await (await visit()).open("/about")
    await page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Go to")
    await expect(field).to_be_focused()
    await page.get_by_role("option", name="Gateway").wait_for()
    await field.fill("dem")
    await page.get_by_role("option", name="demo · default").wait_for()
    await accessible(page)
    await shoot(page, "palette")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/instances/default/demo/overview")
    await page.keyboard.press("Control+k")
    await field.fill("skills")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/skills")


async def test_text_becomes_elements_by_the_one_policy_of_the_pages_alone(visit: Visit) -> None:
    visitor = await visit()
    page = await visitor.open("/instances")
    await page.get_by_label("Phase").select_option("Error")  # by htmx, whose parts go through the policy
    await page.get_by_role("heading", name="No instances match").wait_for()
    refused = await page.evaluate("""() => [
      () => { document.createElement("div").innerHTML = "<b>x</b>" },
      () => { document.createElement("script").text = "x" },
      () => { document.createElement("iframe").srcdoc = "x" },
      () => { trustedTypes.createPolicy("another", {createHTML: text => text}) },
      () => { trustedTypes.createPolicy("sympozium", {createHTML: text => text}) },
    ].map((attempt) => { try { attempt(); return "done" } catch (error) { return error.name } })""")
    assert refused == ["TypeError"] * 5
    assert len(visitor.faults) == 5  # which the browser has told
    visitor.faults.clear()
