"""The routes below ``/providers``: for the operator and the console, which have a token of their own."""

import json
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sympozium_api.client import Client
from sympozium_api.names import EGRESS_AUDIENCE, FIELD_MANAGER
from sympozium_egress.provider_secrets import NoSuchProvider, ProviderUnusable
from sympozium_egress.provider_verifier import ProviderVerifier
from sympozium_http.json_body import NotJson, TooLarge, read_json_bytes
from sympozium_runs.cluster_tokens import ClusterTokens, Forbidden

_ACCOUNTS = (FIELD_MANAGER, "sympozium-console")
"""ServiceAccounts of the guard's namespace that may ask."""
_LONGEST_BODY = 4096
_LONGEST_MODEL = 256


@dataclass(frozen=True)
class ProviderRoutes:
    """Handlers. Errors: 400 no question, 401 another token, 404 no such Provider, 502 the provider does not list its models."""

    verifier: ProviderVerifier
    tokens: ClusterTokens
    namespace: str
    """The guard's own namespace, where operator and console are."""

    @classmethod
    def of(cls, client: Client, verifier: ProviderVerifier, namespace: str) -> "ProviderRoutes":
        """Return the routes, which verify tokens against the cluster's keys."""
        return cls(verifier, ClusterTokens(client, audience=EGRESS_AUDIENCE), namespace)

    async def verify(self, request: Request) -> Response:
        """POST /providers/{namespace}/{name}/verify: one call with one token, and whether it was answered with a completion."""
        await self._authorize(request)
        model = await _model(request)
        try:
            verdict = await self.verifier.verify(*_provider(request), model)
        except NoSuchProvider:
            raise HTTPException(404, "no such Provider") from None
        told = {"valid": verdict.valid, "reason": verdict.reason, "error": verdict.error, "model": verdict.model}
        return JSONResponse({name: value for name, value in told.items() if value is not None})

    async def models(self, request: Request) -> Response:
        """GET /providers/{namespace}/{name}/models: the provider's own list at this moment."""
        await self._authorize(request)
        try:
            return JSONResponse({"models": await self.verifier.models(*_provider(request))})
        except NoSuchProvider:
            raise HTTPException(404, "no such Provider") from None
        except ProviderUnusable as failure:
            raise HTTPException(502, str(failure)) from None

    async def _authorize(self, request: Request) -> None:
        """Raise Forbidden for anybody but operator and console."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Forbidden("the token is missing")
        kubernetes = (await self.tokens.claims(token)).get("kubernetes.io") or {}
        account = (kubernetes.get("serviceaccount") or {}).get("name")
        if kubernetes.get("namespace") != self.namespace or account not in _ACCOUNTS:
            raise Forbidden("token refused: only operator and console may ask about Providers")


def _provider(request: Request) -> tuple[str, str]:
    return request.path_params["namespace"], request.path_params["name"]


async def _model(request: Request) -> str | None:
    """Return the model that a body names; None: it names none. Raises HTTPException."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return None
    try:
        body = json.loads(await read_json_bytes(request, limit=_LONGEST_BODY))
    except NotJson:
        raise HTTPException(400, "the content type is not application/json") from None
    except (TooLarge, ValueError, RecursionError):
        raise HTTPException(400, 'write {"model": "<name>"}, or no body') from None
    model = body.get("model") if isinstance(body, dict) else 0
    if model is not None and not (isinstance(model, str) and 0 < len(model) <= _LONGEST_MODEL and _is_text(model)):
        raise HTTPException(400, f"model: write a name of at most {_LONGEST_MODEL} characters")
    return model


def _is_text(value: str) -> bool:
    """Return true unless JSON's escapes left half a character in a text."""
    return value.encode(errors="ignore").decode() == value
