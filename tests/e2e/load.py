"""Requests without a pause, as long as a test changes something behind them, and every one of them that fails."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
from tests.e2e.conftest import LONGEST, Endpoint

log = logging.getLogger(__name__)

CHAT, MODELS = "/v1/chat/completions", "/v1/models"


@dataclass
class Load:
    """Results of the callers: whole answers by kind of caller, and every failure."""

    endpoint: Endpoint
    key: str
    """May be changed while it goes on; requests that have begun keep theirs."""
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def models(self, http: httpx2.Client) -> str:
        answer = http.get(MODELS, headers=self._headers())
        return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text}"

    def whole(self, http: httpx2.Client) -> str:
        answer = http.post(CHAT, json=_body(stream=False), headers=self._headers())
        return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text}"

    def streamed(self, http: httpx2.Client) -> str:
        with http.stream("POST", CHAT, json=_body(stream=True), headers=self._headers()) as answer:
            text = answer.read().decode()
        return "" if answer.status_code == 200 and text.endswith("data: [DONE]\n\n") else f"{answer.status_code} {text}"

    def caller(self, ask: Callable[[httpx2.Client], str], *, kept: bool, pause: float) -> None:
        """One caller; ``kept``: over one connection that stays open, else each request over one of its own."""
        kind = f"{ask.__name__} {'kept' if kept else 'new'}"
        limits = httpx2.Limits(max_keepalive_connections=1 if kept else 0)
        http = httpx2.Client(base_url=self.endpoint.url, timeout=LONGEST, limits=limits)
        while not self.stopped.wait(pause):
            began = time.time()
            try:
                wrong = ask(http)
            except httpx2.TransportError as error:
                wrong = repr(error)
            if wrong:
                self.failures.append(f"{kind}, {began:.1f} to {time.time():.1f}: {wrong}")
            else:
                self.answers[kind] += 1
        http.close()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


def _body(*, stream: bool) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": "hello"}], "stream": stream}


@contextmanager
def under_load(endpoint: Endpoint, key: str, *, chats: bool = True) -> Iterator[Load]:
    """Callers of every kind; they finish what they have begun when the block ends."""
    load = Load(endpoint, key)
    asks = {load.models: 0.1} | ({load.whole: 1.0, load.streamed: 1.0} if chats else {})
    callers = [
        threading.Thread(target=load.caller, args=(ask,), kwargs={"kept": kept, "pause": pause})
        for ask, pause in asks.items()
        for kept in (True, False)
    ]
    for caller in callers:
        caller.start()
    try:
        yield load
    finally:
        load.stopped.set()
        for caller in callers:
            caller.join()
        log.info("answers: %s; failures: %d", dict(load.answers), len(load.failures))
