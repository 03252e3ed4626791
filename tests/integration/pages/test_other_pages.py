"""The pages beside those of one instance: making one, skills, the gateway, and what one may do; and all links of all pages."""

import re

from tests.fakes.callers import account_token, grant, namespace_object, user_of
from tests.integration.console.conftest import Console
from tests.integration.pages.conftest import SMALLEST, Shoot, Visit, accessible, fits
from tests.integration.pages.test_instance_pages import furnished

from sympozium_api.resources import CONFIGS, INSTANCES

OTHERS = {"/runs", "/usage"}
"""Pages of other modules, which have tests of their own."""


async def test_an_instance_is_made_beside_its_yaml(console: Console, visit: Visit, shoot: Shoot) -> None:
    console.kubernetes.put(namespace_object("default"))
    page = await (await visit()).open("/instances/new")
    await accessible(page)
    await page.get_by_label("Name", exact=True).fill("Wrong_Name")
    await page.get_by_label("Model", exact=True).fill("some-model")
    await page.keyboard.press("Tab")
    await page.get_by_text("model: some-model").wait_for()
    await page.get_by_text("beginning and ending with a letter or a digit").wait_for()
    assert await page.get_by_label("Name", exact=True).input_value() == "Wrong_Name"
    await accessible(page)
    await shoot(page, "new-instance")
    await page.get_by_label("Name", exact=True).fill("made")
    await page.get_by_label("Instructions").fill("Answer\nbriefly.")
    await page.get_by_role("button", name="Create").click()
    await page.wait_for_url("**/instances/default/made/overview")
    spec = console.kubernetes.object(INSTANCES, "made")["spec"]
    assert spec["agents"]["default"]["model"] == "some-model"
    assert spec["memory"]["systemPrompt"] == "Answer\nbriefly."
    again = await (await visit()).open("/instances/new")
    await again.get_by_label("Name", exact=True).fill("made")
    await again.get_by_label("Model", exact=True).fill("m")
    await again.get_by_role("button", name="Create").click()
    await again.get_by_text("There is an instance of this name already.").first.wait_for()


async def test_the_gateway_is_changed_and_a_wrong_value_stays(console: Console, visit: Visit, shoot: Shoot) -> None:
    page = await (await visit()).open("/config")
    await accessible(page)
    await page.get_by_label("Spec of").fill("gateway: {enabled: perhaps}")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Nothing was changed.").wait_for()
    await accessible(page)
    await shoot(page, "config")
    assert "perhaps" in await page.get_by_label("Spec of").input_value()
    spec = "gateway:\n  enabled: true\n  gatewayClassName: eg\n  baseDomain: example.com\n"
    await page.get_by_label("Spec of").fill(spec)
    await page.get_by_role("button", name="Try").click()
    await page.get_by_text("Nothing is changed yet.").wait_for()
    assert console.kubernetes.names(CONFIGS) == []
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("The operator acts on it now.").wait_for()
    stored = console.kubernetes.object(CONFIGS, "default", "sympozium-system")
    assert stored["spec"]["gateway"]["baseDomain"] == "example.com"


async def test_every_link_leads_somewhere_and_every_page_is_accessible(
    console: Console, visit: Visit, shoot: Shoot
) -> None:
    furnished(console, "linked")
    visitor = await visit(viewport=SMALLEST, color_scheme="dark")
    page, seen, left = await visitor.open("/"), set[str](), {"/"}
    while left:
        path = left.pop()
        seen.add(path)
        answer = await page.goto(f"{visitor.url}{path}")
        assert answer, path
        assert answer.status == 200, path
        if re.fullmatch("/|/skills.*|/about", path):
            await accessible(page)
            await shoot(page, "crawled" + path.replace("/", "-"))
        if path != "/openapi.json":
            await fits(page)
        links = await page.eval_on_selector_all("a[href]", "all => all.map(one => one.getAttribute('href'))")
        paths = {link.partition("#")[0] for link in links}
        left |= {link for link in paths if link and link.partition("?")[0] not in OTHERS} - seen
    assert {"/about", "/skills/default/search", "/instances/default/linked/yaml?edit=true"} <= seen


async def test_who_may_list_nothing_sees_which_right_is_missing(console: Console, visit: Visit) -> None:
    console.kubernetes.put(namespace_object("team"))
    visitor = await visit(account_token(console.issuer, "team", "nobody"))
    page = await visitor.open("/instances")
    await page.get_by_text("list sympoziuminstances.sympozium.ai").wait_for()
    await accessible(page)
    refused = await visitor.open("/config")
    await refused.get_by_role("heading", name="You may not see this").wait_for()
    grant(console.kubernetes, user_of("team", "nobody"), "team", verbs=("list",))
    about = await visitor.open("/about?namespace=team")
    assert await about.get_by_role("row", name="agentruns list").count() == 1
