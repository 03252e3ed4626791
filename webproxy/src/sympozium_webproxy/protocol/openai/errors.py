"""Errors as OpenAI's clients expect them: ``{"error": {"message", "type", "param", "code"}}`` under a status that says the class."""

from collections.abc import Mapping, Sequence

from sympozium_api.agent_protocol import RunErrorDetail

_CALLERS_FAULT = (400, 404, 409, 413, 415, 422, 429)
"""What a model answers when the request is at fault: passed on, since only the caller can mend it."""


class OpenAIError(Exception):
    """An answer that is an error. ``param`` names the field at fault, ``code`` is a stable word for programs."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",  # noqa: A002 - the name in OpenAI's own body
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {"error": {"message": message, "type": type, "param": param, "code": code}}


def unauthorized(challenge: str) -> OpenAIError:
    """401: no key, or none that is valid; ``challenge`` is the answer's WWW-Authenticate."""
    return OpenAIError(
        401,
        "Incorrect API key provided. Send a key of this endpoint as 'Authorization: Bearer <key>'.",
        code="invalid_api_key",
        headers={"WWW-Authenticate": challenge},
    )


def invalid_token(reason: str, challenge: str) -> OpenAIError:
    """401: an access token that its issuer would not stand for."""
    message = f"The access token was refused: {reason}"
    return OpenAIError(401, message, code="invalid_token", headers={"WWW-Authenticate": challenge})


def insufficient_scope(scopes: Sequence[str], challenge: str) -> OpenAIError:
    """403: an access token that does not have all of these scopes."""
    message = f"The access token needs the scopes: {' '.join(scopes)}"
    return OpenAIError(403, message, code="insufficient_scope", headers={"WWW-Authenticate": challenge})


def response_not_found(response: str) -> OpenAIError:
    """404: no such response, or none that this key may read."""
    return OpenAIError(404, f"Response with id '{response}' not found.", param="response_id", code="response_not_found")


def unavailable(message: str, *, code: str, retry_after: int = 1) -> OpenAIError:
    """503: not now; the same request may succeed in ``retry_after`` seconds."""
    return OpenAIError(503, message, type="server_error", code=code, headers={"Retry-After": str(retry_after)})


def too_many(message: str, *, code: str, headers: Mapping[str, str]) -> OpenAIError:
    """429: the caller's limit, or the instance's queue, is full."""
    return OpenAIError(429, message, type="rate_limit_error", code=code, headers=headers)


def of_run(error: RunErrorDetail) -> OpenAIError:
    """How a run that failed is told to its caller.

    A model's refusal of the request keeps its status. Its refusal of the instance's own credentials, or its failure, is
    not the caller's to mend: 502. Everything else has the status that the run ended with.
    """
    kind, upstream = error["type"], error["httpStatus"]
    if kind != "model_error":
        headers = {"x-should-retry": "false"} if kind == "deadline_exceeded" else _retry(upstream)
        return OpenAIError(upstream, error["message"], type=_type(upstream), code=kind, headers=headers)
    status = upstream if upstream in _CALLERS_FAULT else 502
    message = error["message"] if status == upstream else f"the model answered {upstream}: {error['message']}"
    return OpenAIError(status, message, type=_type(status), code=kind, headers=_retry(status))


def _type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"


def _retry(status: int) -> dict[str, str]:
    return {"Retry-After": "1"} if status in (429, 503) else {}
