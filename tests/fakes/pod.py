"""An agent pod that does what a test tells it: it speaks to a runs surface as the real one does."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api import names, run_contents
from sympozium_api.resources import RUNS, Object
from sympozium_api.run import AgentRun

ISSUER = "https://kubernetes.default.svc"


class TokenIssuer:
    """Signs tokens as the API server does, and publishes its public key in the fake."""

    def __init__(self, kubernetes: FakeKubernetes) -> None:
        self._kubernetes = kubernetes
        kubernetes.documents["/.well-known/openid-configuration"] = {"issuer": ISSUER}
        kubernetes.documents["/version"] = {"gitVersion": "fake"}
        self.rotate("k1")

    def rotate(self, key_id: str) -> None:
        """Sign with a new key from now on, and publish only that one."""
        self._key, self._key_id = rsa.generate_private_key(public_exponent=65537, key_size=2048), key_id
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        self._kubernetes.documents["/openid/v1/jwks"] = {
            "keys": [public | {"kid": key_id, "alg": "RS256", "use": "sig"}]
        }

    def token(self, pod: str, account: str, namespace: str = "default", **changes: Any) -> str:
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": [names.RUNS_AUDIENCE],
            "exp": 4_000_000_000,
            "kubernetes.io": {"namespace": namespace, "pod": {"name": pod}, "serviceaccount": {"name": account}},
        }
        return jwt.encode(claims | changes, self._key, algorithm="RS256", headers={"kid": self._key_id})


class FakePod:
    """A pod of one run's Job, or of the ``job`` of an idle pod that the run claimed."""

    def __init__(
        self, run: Object, issuer: TokenIssuer, url: str, suffix: str = "abcde", *, job: str | None = None
    ) -> None:
        self.body = run
        self.run = run["metadata"]["name"]
        self.name = f"{job or names.job(self.run, run['metadata']['uid'])}-{suffix}"
        account = names.agent_service_account(run["spec"]["agentRef"])
        token = issuer.token(self.name, account, run["metadata"].get("namespace", "default"))
        self._headers = {"Authorization": f"Bearer {token}"}
        self._url = f"{url}/runs/{self.run}"

    async def task(self) -> httpx2.Response:
        async with httpx2.AsyncClient(timeout=60) as http:
            return await http.get(f"{self._url}/task", headers=self._headers)

    async def say(self, *records: dict[str, Any] | asyncio.Event) -> httpx2.Response:
        """Send records in one open request; at an Event it waits until the test sets it."""

        async def body() -> AsyncIterator[bytes]:
            for record in records:
                if isinstance(record, asyncio.Event):
                    await record.wait()
                else:
                    yield json.dumps(record).encode() + b"\n"

        return await self.post(body())

    async def post(self, records: AsyncIterator[bytes], timeout: float | None = 10) -> httpx2.Response:  # noqa: ASYNC109 - httpx2's
        """Send lines in one open request."""
        async with httpx2.AsyncClient(timeout=timeout) as http:
            return await http.post(f"{self._url}/events", headers=self._headers, content=records)

    async def release(self) -> httpx2.Response:
        """Give the run back."""
        async with httpx2.AsyncClient(timeout=60) as http:
            return await http.post(f"{self._url}/release", headers=self._headers)

    async def answer(self, *words: str) -> httpx2.Response:
        return await self.say({"type": "started"}, *map(delta, words), done("".join(words)))


def request_of(run: Object) -> dict[str, Any]:
    """The request that a run holds, as its agent is sent it but for model and system message."""
    return run_contents.request(AgentRun.model_validate(run))


def delta(text: str) -> dict[str, Any]:
    return {"type": "delta", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def done(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "type": "done",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        "durationMs": 7,
    }


def failed(kind: str, message: str, status: int) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message, "httpStatus": status}, "durationMs": 7}


async def created_run(kubernetes: FakeKubernetes, *, among: int = 1) -> Object:
    """The newest AgentRun, as soon as there are that many."""
    async with asyncio.timeout(60):
        while (
            len(made := list(kubernetes.objects.by_plural[RUNS.plural])) < among
        ):  # in the order in which they were made; a list is sorted by name
            await asyncio.sleep(0.002)
    _, namespace, name = made[-1]
    return kubernetes.object(RUNS, name, namespace)
