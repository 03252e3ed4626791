"""Client of an agent platform API: a token for the key, and answers with their times. A failed connection is an answer too."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

NO_ANSWER = 0
"""Status of an answer that did not come; its text says why."""
_TIMEOUT = aiohttp.ClientTimeout(total=600, connect=10)
"""A run answers at its end."""
_RETRYABLE = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    seconds: float
    """Seconds from the request to the end of the answer."""
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Return the body; None if it is not JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None

    @property
    def message(self) -> str:
        """The sentence of a refusal, or the beginning of another body."""
        match self.json():
            case {"error": {"message": str(message)}}:
                return message
        return " ".join(self.text.split())[:200]


class PlatformClient:
    """Requests to one API, with one key. A token that is refused is replaced once."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, api_key: str) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._token = ""

    @classmethod
    @asynccontextmanager
    async def connect(cls, base_url: str, api_key: str) -> AsyncIterator["PlatformClient"]:
        """Give a client as long as the block runs."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT, connector=aiohttp.TCPConnector(limit=0)) as session:
            yield cls(session, base_url, api_key)

    async def sign_in(self) -> Answer:
        """Get a token for the key, and return the answer. Requests without a token are refused."""
        answer = await self.plain("POST", "/auth/token", headers={"x-api-key": self._api_key})
        match answer.json():
            case {"token": str(token)}:
                self._token = token
        return answer

    async def request(self, method: str, path: str, body: Any = None) -> Answer:
        """Return the answer to a request with the token."""
        answer = await self._with_token(method, path, body)
        if answer.status == 401 and (await self.sign_in()).status == 200:
            return await self._with_token(method, path, body)
        return answer

    async def plain(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        """Return the answer to a request with these headers alone."""
        began = time.perf_counter()
        options = {} if body is None else {"json": body}
        try:
            async with self._session.request(method, self._base_url + path, headers=headers, **options) as response:
                text = await response.text(errors="replace")
                return Answer(response.status, time.perf_counter() - began, text, response.headers)
        except _RETRYABLE as error:
            return Answer(NO_ANSWER, time.perf_counter() - began, str(error) or type(error).__name__)

    async def _with_token(self, method: str, path: str, body: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return await self.plain(method, path, headers=headers, body=body)
