"""Client of the egress guard, which alone calls providers for the operator."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp

from sympozium_api.environment import EGRESS_TOKEN_FILE

_SECONDS = 20.0
"""Seconds for one question: a call of the provider takes 10 at most."""


class Verification(NamedTuple):
    """Verdict of the guard on a provider."""

    valid: bool
    reason: str
    error: str
    model: str | None = None


Verify = Callable[[str, str, str | None], Awaitable[Verification]]
"""Tries a Provider by namespace, name and model (None: the guard chooses one)."""


class EgressGuard:
    """The guard at one base URL, asked with the operator's own token, which the kubelet renews."""

    def __init__(self, base_url: str, token_file: Path = Path(EGRESS_TOKEN_FILE)) -> None:
        self._base_url = base_url
        self._token_file = token_file

    async def verify(self, namespace: str, name: str, model: str | None) -> Verification:
        """Let the guard call a Provider once. A guard that does not answer is a reason, not an error."""
        url = f"{self._base_url}/providers/{quote(namespace, safe='')}/{quote(name, safe='')}/verify"
        body = {"model": model} if model else {}
        try:
            async with asyncio.timeout(_SECONDS):
                return _read(await self._post(url, body))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as failure:
            text = f"the egress guard does not answer: {type(failure).__name__}"
            return Verification(valid=False, reason="GuardUnreachable", error=text)

    async def _post(self, url: str, body: dict[str, str]) -> Any:
        headers = {"authorization": f"Bearer {self._token_file.read_text().strip()}"}
        async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=headers) as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            return await response.json()


def _read(answer: Any) -> Verification:
    """Return the guard's answer. Raises ValueError for any other."""
    if not isinstance(answer, dict) or not isinstance(answer.get("valid"), bool):
        raise ValueError("not an answer of the guard")  # noqa: TRY004 - of the other process, not of this one's code
    reason = str(answer.get("reason") or ("Answered" if answer["valid"] else "NoCompletion"))
    model = answer.get("model")
    return Verification(answer["valid"], reason[:64], str(answer.get("error") or "")[:900], model and str(model)[:256])
