"""How a call of the API server can fail."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cause:
    """One thing that the API server found wrong; ``field`` is a path such as ``spec.webEndpoint.replicas``, or empty."""

    reason: str
    field: str
    message: str


class ApiError(Exception):
    """The API server refused: it answered with a status of 400 or more.

    ``reason`` is the machine's word (``NotFound``, ``AlreadyExists``, ``Invalid`` ...), ``message`` the API server's own sentence.
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
        """The object, or its kind, is not there."""
        return self.status == 404

    @property
    def already_exists(self) -> bool:
        """An object of this name is there already."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def forbidden(self) -> bool:
        """We lack the right, or admission does not want it."""
        return self.status == 403

    @property
    def namespace_terminating(self) -> bool:
        """Nothing can be made in the namespace any more: it is being deleted."""
        return self.forbidden and any(cause.reason == "NamespaceTerminating" for cause in self.causes)

    @property
    def invalid(self) -> bool:
        """The object breaks the schema or a validation rule."""
        return self.status == 422

    @property
    def too_large(self) -> bool:
        """The object is larger than the API server takes, or than etcd does, which it reports as a failure of its own."""
        return self.status == 413 or (
            self.status == 500 and any(words in self.message for words in ("too large", "larger than max"))
        )


class ApiUnavailable(Exception):
    """The API server could not be reached, is overloaded, not ready, or does not know us (any more): the same call may succeed later."""
