"""The tabs of an instance's page: what they show, and that a change goes the way of the API."""

import copy

from tests.fakes.callers import account_token, grant, namespace_object, user_of
from tests.integration.conftest import eventually, instance
from tests.integration.console.conftest import Console
from tests.integration.pages.conftest import Shoot, Visit, accessible

from sympozium_api.resources import INSTANCES, Object

CONDITIONS = [
    ("Ready", "False", "SecretNotFound", "Secret openai is not in namespace default."),
    ("Accepted", "True", "Accepted", "The spec is in force."),
    ("ModelReady", "False", "SecretNotFound", "Secret openai is not in namespace default."),
]
NONE = "\u2013"
"""What a table shows in the place of no value."""
TABS = ("overview", "web-endpoint", "skills", "pool", "events", "yaml", "yaml?edit=true")


def furnished(console: Console, name: str, **spec: object) -> Object:
    """An instance with all that the pages show."""
    pack = {"name": "search", "description": "Search the <b>web</b>.", "content": "Search."}
    parameters = [{"name": "engine", "description": "Which one.", "default": "any"}]
    console.kubernetes.put(
        {
            "kind": "SkillPack",
            "metadata": {"name": "search", "namespace": "default"},
            "spec": {"skills": [pack], "parameters": parameters},
        }
    )
    about = {"kind": "SympoziumInstance", "namespace": "default", "name": name}
    console.kubernetes.put(
        {
            "kind": "Event",
            "metadata": {"name": f"{name}.1", "namespace": "default"},
            "involvedObject": about,
            "type": "Warning",
            "reason": "SecretNotFound",
            "message": "Secret openai is not there.",
            "lastTimestamp": "2025-12-31T23:59:00Z",
            "count": 3,
        }
    )
    status = {
        "phase": "Error",
        "conditions": [
            {
                "type": type_,
                "status": status,
                "reason": reason,
                "message": message,
                "lastTransitionTime": "2025-12-31T23:00:00Z",
                "observedGeneration": 1,
            }
            for type_, status, reason, message in CONDITIONS
        ],
        "webEndpoint": {
            "enabled": True,
            "deploymentName": f"{name}-web-endpoint-server",
            "serviceName": f"{name}-web-endpoint-server",
            "authSecretName": f"{name}-web-endpoint-keys",
            "gatewayReady": True,
            "url": f"https://{name}.example.com",
        },
    }
    agent = {"model": "gpt-4.1-mini", "env": {"PASSWORD": "hidden-value"}, "runTimeout": "10m"}
    made = instance(agents={"default": agent}, title="Assistant", **spec)
    metadata = {"name": name, "namespace": "default", "creationTimestamp": "2025-12-30T00:00:00Z"}
    return console.kubernetes.put(made | {"metadata": metadata, "status": status})


def spec_of(console: Console, name: str) -> Object:
    spec: Object = console.kubernetes.object(INSTANCES, name)["spec"]
    return spec


async def test_the_web_endpoint_is_switched_with_its_values_and_the_line_of_kubectl(
    console: Console, visit: Visit
) -> None:
    furnished(console, "switched", skills=[{"skillPackRef": "search"}], webEndpoint={"enabled": False})
    page = await (await visit()).open("/instances/default/switched/web-endpoint")
    await page.get_by_role("switch", name="Web endpoint").check()
    await page.get_by_label("Requests per minute").fill("600")
    await page.get_by_label("Host name").fill("agent.example.com")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("The web endpoint is on.").wait_for()
    spec = spec_of(console, "switched")
    assert spec["webEndpoint"]["enabled"] is True
    assert spec["webEndpoint"]["rateLimit"]["requestsPerMinute"] == 600
    assert spec["webEndpoint"]["hostname"] == "agent.example.com"
    assert spec["skills"] == [{"skillPackRef": "search"}]
    line = page.locator("figure", has_text="What was done")
    assert '--type merge -p \'{"spec": {"webEndpoint": {' in (await line.text_content() or "")
    await page.get_by_role("switch", name="Web endpoint").uncheck()
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("The web endpoint is off.").wait_for()
    assert spec_of(console, "switched")["webEndpoint"]["enabled"] is False
    link = page.get_by_role("link", name="Serving run")
    assert await link.get_attribute("href") == "/runs?namespace=default&instance=switched&phase=Serving"


async def test_a_param_of_the_skill_is_the_one_that_is_shown_and_written(console: Console, visit: Visit) -> None:
    params = {"rate_limit_rpm": "30"}
    furnished(console, "by-param", skills=[{"skillPackRef": "web-endpoint", "params": params}])
    page = await (await visit()).open("/instances/default/by-param/web-endpoint")
    field = page.get_by_label("Requests per minute")
    assert await field.input_value() == "30"
    await page.get_by_text("Set by the parameter rate_limit_rpm").wait_for()
    await field.fill("31")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("The web endpoint is on.").wait_for()
    assert spec_of(console, "by-param")["skills"] == [
        {"skillPackRef": "web-endpoint", "params": {"rate_limit_rpm": "31"}}
    ]


async def test_a_wrong_value_comes_back_at_its_field_and_stays_typed(
    console: Console, visit: Visit, shoot: Shoot
) -> None:
    before = furnished(console, "wrong")["spec"]
    page = await (await visit()).open("/instances/default/wrong/web-endpoint")
    await page.get_by_label("Requests per minute").fill("many")
    await page.get_by_role("button", name="Save").click()
    field = page.get_by_label("Requests per minute")
    await page.get_by_text("Nothing was changed.").wait_for()
    assert (await field.input_value(), await field.get_attribute("aria-invalid")) == ("many", "true")
    await accessible(page)
    await shoot(page, "instance-wrong")
    assert spec_of(console, "wrong") == before


async def test_two_people_who_edit_one_instance_see_each_other(console: Console, visit: Visit, shoot: Shoot) -> None:
    furnished(console, "shared")
    first = await (await visit()).open("/instances/default/shared/overview")
    second = await (await visit()).open("/instances/default/shared/yaml?edit=true")
    await first.get_by_label("Model", exact=True).fill("other-model")
    await first.get_by_role("button", name="Save").click()
    await first.get_by_text("Saved.").wait_for()
    text = await second.get_by_label("YAML").input_value()
    await second.get_by_label("YAML").fill(text.replace("Assistant", "Helper"))
    await second.get_by_role("button", name="Save").click()
    await second.get_by_text("Somebody has changed this meanwhile.").wait_for()
    assert "other-model" in (await second.get_by_role("heading", name="Stored now").locator("..").text_content() or "")
    await accessible(second)
    await shoot(second, "instance-conflict")
    await second.get_by_role("button", name="Save").click()
    await second.get_by_text("Saved.").wait_for()
    assert spec_of(console, "shared")["title"] == "Helper"


async def test_a_conflict_in_a_form_shows_three_columns_and_keeps_both_changes(
    console: Console, visit: Visit, shoot: Shoot
) -> None:
    furnished(console, "both")
    page = await (await visit()).open("/instances/default/both/overview")
    stored = copy.deepcopy(console.kubernetes.object(INSTANCES, "both"))
    was = stored["spec"]["agents"]["default"]["model"]
    stored["spec"]["agents"]["default"]["model"] = "theirs"
    stored["spec"]["title"] = "Their title"
    console.kubernetes.put(stored)
    await page.get_by_label("Title").fill("My title")
    await page.get_by_role("button", name="Save").click()
    table = page.get_by_role("region", name="What differs")
    await table.wait_for()
    assert [await row.locator("th, td").all_text_contents() for row in await table.locator("tbody tr").all()] == [
        ["Title", "My title", "Their title", "Assistant"],
        ["Model", was, "theirs", was],
    ]
    await accessible(page)
    await shoot(page, "instance-form-conflict")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Saved.").wait_for()
    spec = spec_of(console, "both")
    assert (spec["title"], spec["agents"]["default"]["model"]) == ("My title", "theirs")


async def test_a_conflict_of_skills_shows_three_columns_and_keeps_both_changes(
    console: Console, visit: Visit, shoot: Shoot
) -> None:
    furnished(console, "skills-of-two")
    page = await (await visit()).open("/instances/default/skills-of-two/skills")
    stored = copy.deepcopy(console.kubernetes.object(INSTANCES, "skills-of-two"))
    theirs = {"skillPackRef": "theirs", "params": {"tone": "dry"}}
    stored["spec"]["skills"] = [*stored["spec"]["skills"], theirs]
    console.kubernetes.put(stored)
    await page.get_by_label("search").check()
    await page.get_by_text("Parameters").click()
    await page.get_by_label("engine").fill("mine")
    await page.get_by_role("button", name="Save").click()
    table = page.get_by_role("region", name="What differs")
    await table.wait_for()
    assert [await row.locator("th, td").all_text_contents() for row in await table.locator("tbody tr").all()] == [
        ["search", "on", NONE, NONE],
        ["search: engine", "mine", NONE, NONE],
        ["theirs", NONE, "on", NONE],
        ["theirs: tone", NONE, "dry", NONE],
    ]
    assert await page.get_by_label("search").is_checked()
    assert await page.get_by_label("engine").input_value() == "mine"
    await accessible(page)
    await shoot(page, "instance-skills-conflict")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Saved.").wait_for()
    assert spec_of(console, "skills-of-two")["skills"] == [
        {"skillPackRef": "web-endpoint"},
        theirs,
        {"skillPackRef": "search", "params": {"engine": "mine"}},
    ]


async def test_an_issuer_of_access_tokens_is_set_and_taken_away_in_the_tab(console: Console, visit: Visit) -> None:
    furnished(console, "issuer")
    page = await (await visit()).open("/instances/default/issuer/web-endpoint")
    await page.get_by_text("Issuer", exact=True).first.click()
    await page.get_by_label("Issuer", exact=True).fill("http://login.example.com")
    await page.get_by_label("Audiences").fill("agents\ntools")
    await page.get_by_role("button", name="Save").click()
    await page.locator('[id="oauth.issuer"][aria-invalid=true]').wait_for()
    await page.get_by_label("Issuer", exact=True).fill("https://login.example.com")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("The operator acts on it now.").wait_for()
    oauth = {"issuer": "https://login.example.com", "audiences": ["agents", "tools"]}
    stored = spec_of(console, "issuer")["webEndpoint"]["oauth"]
    assert {name: value for name, value in stored.items() if value} == oauth
    for label in ("Issuer", "Audiences"):
        await page.get_by_label(label, exact=True).fill("")
    await page.get_by_role("button", name="Save").click()
    await eventually(lambda: not spec_of(console, "issuer")["webEndpoint"].get("oauth"))


async def test_values_of_the_environment_are_masked_until_it_is_edited(console: Console, visit: Visit) -> None:
    furnished(console, "masked")
    page = await (await visit()).open("/instances/default/masked/yaml")
    assert "hidden-value" not in await page.content()
    await page.get_by_role("link", name="Edit").click()
    await page.get_by_label("YAML").wait_for()
    assert "hidden-value" in await page.content()


async def test_skills_are_chosen_with_their_params(console: Console, visit: Visit) -> None:
    furnished(console, "skilled")
    page = await (await visit()).open("/instances/default/skilled/skills")
    await page.get_by_label("search").check()
    await page.get_by_text("Parameters").click()
    await page.get_by_label("engine").fill("own")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Saved.").wait_for()
    assert spec_of(console, "skilled")["skills"] == [
        {"skillPackRef": "web-endpoint"},
        {"skillPackRef": "search", "params": {"engine": "own"}},
    ]


async def test_an_instance_is_deleted_once_its_name_is_typed(console: Console, visit: Visit) -> None:
    furnished(console, "doomed")
    page = await (await visit()).open("/instances/default/doomed/overview")
    await page.get_by_label("Type the instance's name").fill("other")
    await page.get_by_role("button", name="Delete doomed").click()
    await page.get_by_text("Nothing was changed.").wait_for()
    await page.get_by_label("Type the instance's name").fill("doomed")
    await page.get_by_role("button", name="Delete doomed").click()
    await page.wait_for_url("**/instances?namespace=default")
    assert "doomed" not in console.kubernetes.names(INSTANCES)
    gone = await (await visit()).open("/instances/default/doomed/overview")
    await gone.get_by_role("heading", name="This is gone").wait_for()
    await accessible(gone)


async def test_who_may_only_look_sees_why_a_button_is_off(console: Console, visit: Visit, shoot: Shoot) -> None:
    furnished(console, "looked-at")
    console.kubernetes.put(namespace_object("default"))
    grant(console.kubernetes, user_of("default", "viewer"), "default", verbs=("get", "list"))
    visitor = await visit(account_token(console.issuer, "default", "viewer"))
    page = await visitor.open("/instances/default/looked-at/web-endpoint")
    assert await page.get_by_role("button", name="Save").is_disabled()
    await page.get_by_text("This takes the right to patch sympoziuminstances.sympozium.ai").wait_for()
    await accessible(page)
    await shoot(page, "instance-viewer")
    other = await visitor.open("/instances/other/looked-at/overview")
    await other.get_by_role("heading", name="You may not see this").wait_for()
    await accessible(other)
    await shoot(other, "forbidden")
