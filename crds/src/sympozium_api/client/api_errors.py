"""Failures of calls of the API server."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cause:
    """One error that the API server found; ``field`` is a path such as ``spec.webEndpoint.replicas``, or empty."""

    reason: str
    field: str
    message: str


class ApiError(Exception):
    """A refusal of the API server, with a status of 400 or more.

    ``reason`` is the word for programs (``NotFound``, ``AlreadyExists``, ``Invalid`` ...), ``message`` the API server's sentence.
    """

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.reason: str = body.get("reason") or ""
        self.message: str = body.get("message") or f"HTTP {status}"
        details = body.get("details") or {}
        self.causes = tuple(
            Cause(cause.get("reason") or "", cause.get("field") or "", cause.get("message") or "")
            for cause in details.get("causes") or ()
        )
        super().__init__(f"{status} {self.reason}: {self.message}")

    @property
    def not_found(self) -> bool:
        """True if the object, or its kind, does not exist."""
        return self.status == 404

    @property
    def already_exists(self) -> bool:
        """True if an object of this name exists already."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def forbidden(self) -> bool:
        """True if this process lacks a permission, or an admission plugin refuses the object."""
        return self.status == 403

    @property
    def namespace_terminating(self) -> bool:
        """True if the namespace is being deleted, so that nothing can be created in it."""
        return self.forbidden and any(cause.reason == "NamespaceTerminating" for cause in self.causes)

    @property
    def invalid(self) -> bool:
        """True if the object violates the schema or a validation rule."""
        return self.status == 422

    @property
    def too_large(self) -> bool:
        """True if the object is larger than the API server accepts or than etcd does, which the API server reports as a 500."""
        return self.status == 413 or (
            self.status == 500 and any(words in self.message for words in ("too large", "larger than max"))
        )


class ApiUnavailable(Exception):
    """The API server is unreachable, overloaded or not ready, or does not accept the token: the same call may succeed later."""
