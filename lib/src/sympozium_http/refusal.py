"""Refusals of a request, below all protocols: each protocol renders a refusal in its own shape."""

from collections.abc import Mapping


class Refusal(Exception):
    """A request that is answered with an error.

    ``status`` is the HTTP status, ``code`` a stable word for programs (docs/reference/errors.md), ``message`` a sentence for
    people that says what would be right, ``param`` the field or parameter at fault, ``kind`` the type of error if the status
    does not tell it, ``headers`` further headers of the answer, and ``retry_after`` the seconds after which the same request
    may succeed: they become the header Retry-After.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.kind = kind
        self.headers = dict(headers or {}) | ({} if retry_after is None else {"Retry-After": str(retry_after)})
