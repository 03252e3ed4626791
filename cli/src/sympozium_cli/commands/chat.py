"""``chat``: one question, or a conversation at a prompt."""

import asyncio
import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack, aclosing, suppress

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_cli.api_failures import failure_of
from sympozium_cli.chat_events import Chat, ChatEvent, Message, Started, Text, Waiting
from sympozium_cli.chatting import open_chat
from sympozium_cli.cluster import Cluster, connect
from sympozium_cli.command_line import say
from sympozium_cli.failures import Failure
from sympozium_cli.options import KubectlOptions
from sympozium_cli.plain_stream import PlainStream

_PROMPT = "> "


class _Answer:
    """An answer on standard output, as it comes."""

    def __init__(self) -> None:
        self.text = ""
        self._plain = PlainStream()
        self._reason = ""
        self._ends_line = True

    def show(self, event: ChatEvent, *, names_run: bool) -> None:
        """Print a piece of the answer; say what is waited for."""
        if isinstance(event, Text):
            self.text += event.text
            self._print(self._plain.feed(event.text))
        elif isinstance(event, Started) and names_run:
            say(f"run {event.run}")
        elif isinstance(event, Waiting) and event.reason != self._reason:
            self._reason = event.reason
            say(event.reason)

    def end(self) -> None:
        """Print what is left, and end the line."""
        self._print(self._plain.end())
        if not self._ends_line:
            self._print("\n")

    def _print(self, text: str) -> None:
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._ends_line = text.endswith("\n")


async def answer(way: Chat, messages: list[Message], model: str = "") -> str:
    """Print the answer to a conversation, and return it. Raises Failure, ApiError and ApiUnavailable."""
    shown = _Answer()
    try:
        async with aclosing(way.ask(messages, model)) as events:
            async for event in events:
                shown.show(event, names_run=bool(way.detour))
    finally:
        shown.end()
    return shown.text


async def once(cluster: Cluster, instance: str, question: str, model: str = "") -> None:
    """Print the answer to one question."""
    if not question.strip():
        raise Failure("there is no question")
    async with open_chat(cluster, cluster.one_namespace, instance) as way:
        _say_detour(way)
        await answer(way, [{"role": "user", "content": question}], model)


def _say_detour(way: Chat) -> None:
    if way.detour:
        say(f"{way.detour}: the question is a run of its own, and its answer comes as a whole")


def converse(options: KubectlOptions, instance: str, model: str = "") -> int:
    """Ask what is typed until the end of the input. Ctrl+C stops an answer, and at the prompt the conversation."""
    say(f"{instance} answers. Ctrl+C stops an answer, Ctrl+D ends the conversation.")
    with asyncio.Runner() as runner:
        way = _Way(options, instance, model)
        try:
            runner.run(way.open())
            return _ask_on(runner, way)
        finally:
            runner.run(way.close())


class _Way:
    """The way to an agent over several runs of the event loop, which stands still while somebody types."""

    def __init__(self, options: KubectlOptions, instance: str, model: str) -> None:
        self._options = options
        self._instance = instance
        self._model = model
        self._stack = AsyncExitStack()
        self._chat: Chat | None = None

    async def open(self) -> Chat:
        """Return the way, opened if it is not. Raises Failure."""
        if self._chat is None:
            try:
                cluster = await self._stack.enter_async_context(connect(self._options, on_message=say))
                opening = open_chat(cluster, cluster.one_namespace, self._instance)
                self._chat = await self._stack.enter_async_context(opening)
            except (ApiError, ApiUnavailable) as error:
                raise failure_of(error) from error
            _say_detour(self._chat)
        return self._chat

    async def close(self) -> None:
        """Close the way; the next question opens another one."""
        self._chat = None
        await self._stack.aclose()

    async def ask(self, messages: list[Message]) -> str:
        """Print the answer to a conversation, and return it. Raises Failure."""
        try:
            return await answer(await self.open(), messages, self._model)
        except (ApiError, ApiUnavailable) as error:
            raise failure_of(error) from error


def _ask_on(runner: asyncio.Runner, way: _Way) -> int:
    messages = list[Message]()
    while True:
        try:
            question = _typed()
        except EOFError:
            return 0
        if not question.strip():
            continue
        messages.append({"role": "user", "content": question})
        try:
            text = runner.run(way.ask(messages))
        except KeyboardInterrupt:
            say("stopped")
        except Failure as failure:
            say(f"error: {failure}")
            runner.run(way.close())
        else:
            messages.append({"role": "assistant", "content": text})
            continue
        messages.pop()


def _typed() -> str:
    """Return a line from the terminal, edited with its own history, which no file keeps. Raises EOFError and KeyboardInterrupt."""
    with suppress(ImportError):
        import readline  # noqa: F401 - input() uses it
    if sys.stdout.isatty():
        return input(_PROMPT)
    print(_PROMPT, end="", file=sys.stderr, flush=True)
    return input()


def question_of(words: str | None, stdin: Iterable[str]) -> str | None:
    """Return the question that was given as ``TEXT``, or on standard input for ``-``; None: a conversation."""
    if words == "-" or (words is None and not sys.stdin.isatty()):
        return "".join(stdin)
    return words
