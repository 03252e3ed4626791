"""The chat, in a browser: questions, answers as they come, and what happens when something breaks off."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
from playwright.async_api import Page
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.fakes.callers import account_token, grant, user_of
from tests.fakes.hostile_answers import hostile_answers
from tests.fakes.pod import FakePod, delta, done, failed, request_of
from tests.integration.conftest import eventually, instance, listening
from tests.integration.console.conftest import Console
from tests.integration.pages.conftest import NARROW, Shoot, Visit, accessible, fits

from sympozium_api.resources import RUNS
from sympozium_archive.database import Database
from sympozium_console.console_app import create_app
from sympozium_console.console_context import assemble
from sympozium_console.console_metrics import ConsoleMetrics

CHAT = "/instances/default/demo/chat"
ANSWER = """# A plan

Some *text* with `code`, and [a link](https://evil.example/x).

- one
- two

```python
def answer() -> int:
    return 42
```

| Name | Count |
|------|------:|
| a    |     1 |

The end."""


async def ask(console: Console, page: Page, text: str) -> FakePod:
    """Send a question, and return the pod of its run."""
    await page.get_by_label("Question").fill(text)
    return await sent(console, page)


async def sent(console: Console, page: Page) -> FakePod:
    """Send what the field has, and return the pod of its run."""
    before = len(console.kubernetes.names(RUNS))
    await page.get_by_label("Question").press("Enter")
    return await console.pod(among=before + 1)


def killable(app: ASGIApp, killed: asyncio.Event) -> ASGIApp:
    """An application whose open answers break off when it is killed."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        answer, kill = asyncio.ensure_future(app(scope, receive, send)), asyncio.create_task(killed.wait())
        await asyncio.wait({answer, kill}, return_when=asyncio.FIRST_COMPLETED)
        kill.cancel()
        if not answer.done():
            answer.cancel()
            await asyncio.wait({answer})
            raise ConnectionAbortedError
        await answer

    return serve


def end_run(console: Console, name: str, phase: str, **status: Any) -> None:
    """End a run as the operator does."""
    console.kubernetes.put({"kind": "AgentRun", "metadata": {"name": name}, "status": {"phase": phase, **status}})


class Speech:
    """An answer that goes on as a test tells it."""

    def __init__(self, pod: FakePod) -> None:
        self._more: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.sending = asyncio.create_task(pod.post(self._lines(), timeout=60))
        self.run, self.name = pod.body, pod.run
        self.said = ""
        self.record({"type": "started"})

    def record(self, record: dict[str, Any] | None) -> None:
        self._more.put_nowait(record)

    def say(self, text: str) -> None:
        self.said += text
        self.record(delta(text))

    async def end(self) -> None:
        self.record(done(self.said))
        self.record(None)
        assert (await self.sending).json() == {"stored": True}

    async def _lines(self) -> AsyncIterator[bytes]:
        while (record := await self._more.get()) is not None:
            yield json.dumps(record).encode() + b"\n"


async def test_a_question_is_asked_and_its_answer_read_as_it_comes(
    console: Console, visit: Visit, shoot: Shoot
) -> None:
    visitor = await visit()
    page = await visitor.open(CHAT)
    question = page.get_by_label("Question")
    assert await question.evaluate("field => field === document.activeElement")
    await shoot(page, "chat-new-light")
    await accessible(page)
    await question.fill("What is")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("the plan?")
    assert await question.input_value() == "What is\nthe plan?"
    speech = Speech(await sent(console, page))
    await page.get_by_text("A pod starts").wait_for()
    await shoot(page, "chat-waiting-light")
    await accessible(page)
    speech.say(ANSWER[:-40])
    await page.get_by_role("group", name="Code, python").wait_for()
    await page.get_by_text("| Name | Count |").wait_for()
    assert await page.locator("[data-announcer]").inner_text() == ""
    await shoot(page, "chat-streaming-light")
    await accessible(page)

    await page.reload()
    await page.get_by_role("group", name="Code, python").wait_for()
    other = await visitor.open(page.url.removeprefix(visitor.url))
    await other.get_by_text("| Name | Count |").wait_for()
    assert await other.get_by_role("heading", name="A plan").count() == 1

    speech.say(ANSWER[-40:])
    await speech.end()
    for tab in (page, other):
        await tab.get_by_role("link", name="As curl, Python").wait_for()
        assert (await tab.locator(".answer .prose").text_content() or "").count("The end.") == 1
        assert await tab.get_by_role("cell", name="1", exact=True).count() == 1
        assert (await tab.locator("[data-announcer]").inner_text()).count("The end.") == 1
    await shoot(page, "chat-done-light")
    await accessible(page)

    again = Speech(await ask(console, page, "And then?"))
    assert [message["content"] for message in request_of(again.run)["messages"]] == [
        "What is\nthe plan?",
        ANSWER,
        "And then?",
    ]
    again.say("Rest.")
    await again.end()
    await page.get_by_text("Rest.", exact=True).first.wait_for()
    assert await page.get_by_role("article").count() == 2
    await page.reload()
    assert await page.get_by_role("article").count() == 2
    await page.get_by_role("link", name="As curl, Python").last.click()
    assert "And then?" in await page.get_by_role("group", name="Python").inner_text()
    await shoot(page, "chat-request-light")
    await accessible(page)


async def test_a_new_chat_lists_its_callers_own_conversations(console: Console, visit: Visit, shoot: Shoot) -> None:
    visitor = await visit()
    page = await visitor.open(CHAT)
    speech = Speech(await ask(console, page, "Where were we?"))
    speech.say("There.")
    await speech.end()
    await page.get_by_role("link", name="As curl, Python").wait_for()
    link = page.get_by_role("list", name="Your conversations").get_by_role("link", name="Where were we?")
    async with asyncio.timeout(60):
        while not await link.count():  # the index is a moment behind
            await page.goto(f"{visitor.url}{CHAT}")
    await shoot(page, "chat-past")
    await accessible(page)
    await link.click()
    await page.get_by_text("There.", exact=True).first.wait_for()
    grant(console.kubernetes, user_of("default", "reader"), "default")
    other = await (await visit(account_token(console.issuer, "default", "reader"))).open(CHAT)
    await other.get_by_role("heading", name="Ask").wait_for()
    assert await other.get_by_text("Your conversations").count() == 0


async def test_stopping_cancels_the_run(console: Console, visit: Visit, shoot: Shoot) -> None:
    visitor = await visit(viewport=NARROW, color_scheme="dark")
    page = await visitor.open(CHAT)
    await fits(page)
    speech = Speech(await ask(console, page, "Count to a million."))
    speech.say("One, two, three, ")
    await page.get_by_text("One, two, three,").wait_for()
    await shoot(page, "chat-streaming-narrow-dark")
    await page.get_by_role("button", name="Stop").press("Enter")
    await eventually(lambda: console.kubernetes.object(RUNS, speech.name)["spec"].get("cancel"))
    end_run(console, speech.name, "Cancelled", error={"type": "cancelled", "message": "cancelled", "httpStatus": 499})
    await page.get_by_text("Stopped.").first.wait_for()
    assert await page.get_by_label("Question").evaluate("field => field === document.activeElement")
    assert await page.get_by_role("button", name="Send").is_visible()
    await fits(page)
    await accessible(page)
    await shoot(page, "chat-stopped-narrow-dark")
    speech.sending.cancel()


async def test_what_goes_wrong_is_told_with_what_helps_and_the_question_stays(
    console: Console, visit: Visit, shoot: Shoot
) -> None:
    visitor = await visit(color_scheme="dark")
    page = await visitor.open(CHAT)
    pod = await ask(console, page, "Hello?")
    await pod.say({"type": "started"}, failed("model_unreachable", "no route to \u202ehttp://model", 502))
    await page.get_by_text("Check the instance's baseURL").first.wait_for()
    assert await page.locator(".turn-error .control").inner_text() == "U+202E"
    await shoot(page, "chat-error-dark")
    await accessible(page)

    not_ready = {
        "type": "ModelReady",
        "status": "False",
        "reason": "SecretNotFound",
        "message": "x",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    console.kubernetes.put(instance() | {"status": {"conditions": [not_ready]}})
    try:
        await page.get_by_label("Question").fill("Still there?")
        await page.keyboard.press("Enter")
        await page.get_by_text("The instance's model is not ready").wait_for()
        assert await page.get_by_label("Question").input_value() == "Still there?"
        await accessible(page)
        await shoot(page, "chat-refused-dark")
    finally:
        console.kubernetes.put(instance() | {"status": {"conditions": []}})
    await page.get_by_text("Options").click()
    await page.get_by_label("Temperature").fill("hot")
    await page.get_by_role("button", name="Send").click()
    await page.get_by_text("Give a number from 0 to 2").wait_for()
    await shoot(page, "chat-options-dark")
    await accessible(page)


async def test_three_hundred_hostile_answers_run_nothing_and_fetch_nothing(console: Console, visit: Visit) -> None:
    visitor = await visit()
    page = await visitor.open(CHAT)
    await page.evaluate("() => { window.alert = () => { window.hacked = true; } }")
    speech = Speech(await ask(console, page, "Attack me."))
    for number, answer in enumerate(hostile_answers()):
        speech.say(f"\n\n### {number}\n\n{answer}\n\n```\n```\n\n")
    await speech.end()
    await page.get_by_role("link", name="As curl, Python").wait_for()
    await page.reload()
    await page.get_by_role("heading", name="300", exact=True).wait_for()
    assert await page.evaluate("window.hacked") is None
    inside = await page.evaluate(
        """() => [...document.querySelectorAll(".prose *, .plain *")].map((element) => element.localName)"""
    )
    assert not {"script", "img", "svg", "iframe", "form", "input", "style", "object", "video", "base", "link"} & set(
        inside
    )
    assert await page.evaluate("document.cookie") == ""


async def test_a_console_that_is_replaced_during_an_answer_loses_nothing(
    console: Console, visit: Visit, tmp_path: Path
) -> None:
    killed = asyncio.Event()
    async with listening(killable(create_app(console.context), killed)) as url:
        visitor = await visit(at=replace(console, http=httpx2.AsyncClient(base_url=url)))
        page = await visitor.open(CHAT)
        speech = Speech(await ask(console, page, "Go on."))
        speech.say("One.\n\nTwo.\n\nThr")
        await page.get_by_text("Thr", exact=True).wait_for()
        killed.set()
    await page.get_by_text("The connection to the console is lost.").wait_for()
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    other = assemble(console.kubernetes, console.context.settings, console.clock, database, ConsoleMetrics())
    async with listening(create_app(other), port=int(url.rpartition(":")[2])):
        speech.say("ee.\n\nFour.")
        await speech.end()
        await page.get_by_role("link", name="As curl, Python").wait_for(timeout=60_000)
        assert await page.locator(".answer .prose p").all_text_contents() == ["One.", "Two.", "Three.", "Four."]
        assert not await page.get_by_text("is lost").is_visible()
    visitor.faults[:] = [fault for fault in visitor.faults if "net::ERR_" not in fault]  # of the console that died
    await database.close()


async def test_an_api_server_that_is_killed_during_an_answer_leaves_the_conversation_whole(
    console: Console, visit: Visit, shoot: Shoot
) -> None:
    visitor = await visit()
    page = await visitor.open(CHAT)
    speech = Speech(await ask(console, page, "Keep talking."))
    speech.say("Before.\n\n")
    await page.get_by_text("Before.", exact=True).wait_for()
    console.kubernetes.is_away = True
    console.kubernetes.end_watches()
    try:
        speech.say("Meanwhile.\n\n")
        await page.get_by_text("Meanwhile.", exact=True).wait_for()
        other = await visitor.open("/instances/default/demo/chat")
        await other.get_by_role("heading", level=1, name="The console cannot answer now").wait_for()
        await accessible(other)
        await shoot(other, "chat-api-server-away")
        await page.get_by_label("Question").fill("Typed meanwhile.")
    finally:
        console.kubernetes.is_away = False
    speech.say("After.")
    await speech.end()
    await page.get_by_role("link", name="As curl, Python").wait_for()
    whole = ["Before.", "Meanwhile.", "After."]
    assert await page.locator(".answer .prose p").all_text_contents() == whole
    assert await page.get_by_label("Question").input_value() == "Typed meanwhile."
    await page.reload()
    assert await page.locator(".answer .prose p").all_text_contents() == whole
    await other.get_by_label("Question").wait_for()  # it has tried again by itself
