"""A stranger's walk through the console's pages: signs in, makes an agent, switches it on, asks it, reloads half-way, and finds out why a
run failed."""

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright
from tests.e2e.conftest import Namespace, agent_run, instance, model_server
from tests.e2e.test_console_roles import console_url, token_of

__all__ = ["console_url"]
pytestmark = pytest.mark.browser

PIECES = 150
"""Of an answer that takes fifteen seconds, so that a reload meets it half-way. Each is the time in ms at which it was sent."""


@pytest.fixture
def team(webproxy_image: str) -> Iterator[Namespace]:
    """A namespace with a model, an administrator of it, and a run that has failed."""
    name = f"e2e-{secrets.token_hex(3)}"
    team = Namespace(name)
    team.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    team.apply(*model_server(webproxy_image), instance("broken", model="status:400"))
    team.kubectl("create", "serviceaccount", "ada")
    team.kubectl("create", "rolebinding", "ada", "--clusterrole=sympozium-admin", f"--serviceaccount={name}:ada")
    team.kubectl("rollout", "status", "deployment/model", "--timeout=4m")
    team.apply(agent_run("run-that-failed", agentRef="broken", task="hello"))
    team.run_ends("run-that-failed")
    yield team
    team.remove()


@pytest.fixture
def page(console_url: str) -> Iterator[Page]:
    """A tab of Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(base_url=console_url, viewport={"width": 1440, "height": 900})
        tab.set_default_timeout(120_000)
        yield tab
        browser.close()


def shoot(page: Page, name: str) -> None:
    """Write a picture into the folder that SYMPOZIUM_SCREENSHOTS names, if there is one."""
    if folder := os.environ.get("SYMPOZIUM_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_a_stranger_switches_an_agent_on_asks_it_and_finds_why_a_run_failed(page: Page, team: Namespace) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/instances")
    page.get_by_label("Token").fill(token_of(team, "ada"))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Instances").wait_for()
    shoot(page, "walk-1-instances")

    page.goto("/instances/new")
    page.get_by_label("Name", exact=True).fill("helper")
    page.get_by_label("Model", exact=True).fill(f"slow:{PIECES}:100")
    page.get_by_label("Base URL").fill("http://model:8080/v1")
    page.get_by_role("switch", name="Web endpoint").uncheck()
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url(f"**/instances/{team.name}/helper/overview")
    shoot(page, "walk-2-made")

    page.goto(f"/instances/{team.name}/helper/web-endpoint")
    page.get_by_role("switch", name="Web endpoint").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The web endpoint is on.").wait_for()
    shoot(page, "walk-3-web-endpoint")
    page.get_by_text("Serving", exact=True).first.wait_for()

    page.goto(f"/instances/{team.name}/helper/chat")
    page.get_by_label("Question").fill("How are you?")
    page.get_by_label("Question").press("Enter")
    answer = page.locator(".answer .prose")
    page.wait_for_function("() => (document.querySelector('.answer')?.textContent ?? '').length > 100")
    assert page.get_by_role("link", name="As curl, Python").count() == 0, "it goes on"
    shoot(page, "walk-4-half-way")
    page.reload()
    page.get_by_role("link", name="As curl, Python").wait_for()
    assert len((answer.text_content() or "").split()) == PIECES
    shoot(page, "walk-5-answered")

    page.goto("/")
    page.get_by_role("link", name="model_error").click()
    page.get_by_role("link", name="run-that-failed", exact=True).click()
    page.get_by_role("heading", name="run-that-failed").wait_for()
    shoot(page, "walk-6-failed")
    reason = page.locator(".notice", has_text="model_error").text_content() or ""
    assert team.status("run", "run-that-failed")["error"]["message"] in reason
    assert errors == []
