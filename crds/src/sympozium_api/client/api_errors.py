"""Failures of calls of the API server."""

import re
from dataclasses import dataclass
from typing import Any

from sympozium_api.resources import QUOTA_EXCEEDED

_PASSING = (401, 408, 409, 410, 429)
"""Statuses below 500 after which the same write may be accepted."""
_TYPE_OF_VALUE = re.compile(r'(?:<nil>: )?Invalid value: "(?:object|array|string|integer|number|boolean)": ')
"""Words of the API server before the message of a CEL rule: the type of the value, instead of the value."""


@dataclass(frozen=True)
class Cause:
    """One error that the API server found; ``field`` is a path such as ``spec.webEndpoint.replicas``, or empty."""

    reason: str
    field: str
    message: str


class ApiError(Exception):
    """A refusal of the API server, with a status of 400 or more.

    ``reason`` is the word for programs (``NotFound``, ``AlreadyExists``, ``Invalid`` ...), ``message`` the API server's sentence.
    ``is_read``: the call could change nothing.
    """

    def __init__(self, status: int, body: dict[str, Any], *, is_read: bool = False) -> None:
        self.status = status
        self.is_read = is_read
        self.reason: str = body.get("reason") or ""
        self.message: str = _TYPE_OF_VALUE.sub("", body.get("message") or "") or f"HTTP {status}"
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
    def is_final(self) -> bool:
        """True if the API server would refuse the same write again. A conflict (409), and what is raised as ApiUnavailable, may pass."""
        return 400 <= self.status < 500 and self.status != 409

    @property
    def namespace_terminating(self) -> bool:
        """True if the namespace is being deleted, so that nothing can be created in it."""
        return self.forbidden and any(cause.reason == "NamespaceTerminating" for cause in self.causes)

    @property
    def quota_exceeded(self) -> bool:
        """True if a ResourceQuota of the namespace has no room for the object now."""
        return self.forbidden and QUOTA_EXCEEDED in self.message

    @property
    def final(self) -> bool:
        """True if the same write will be refused again: by the schema, a rule, a webhook, a quota or a missing permission.

        False for a read, which is always worth another attempt, and for what passes by itself: a conflict (409), a timeout (408), a
        namespace that is being deleted. An API server that is overloaded or away (429, 5xx, no connection) is ApiUnavailable.
        """
        passes = self.is_read or self.status in _PASSING or self.namespace_terminating
        return self.status < 500 and not passes

    @property
    def invalid(self) -> bool:
        """True if the object violates the schema or a validation rule."""
        return self.status == 422

    @property
    def other_uid(self) -> bool:
        """True if a patch names the UID of a former object: the object was created again under its name."""
        return self.invalid and any(cause.field == "metadata.uid" for cause in self.causes)

    @property
    def too_large(self) -> bool:
        """True if the object is larger than the API server accepts or than etcd does, which the API server reports as a 500."""
        return self.status == 413 or (
            self.status == 500 and any(words in self.message for words in ("too large", "larger than max"))
        )


class ApiUnavailable(Exception):
    """The API server is unreachable, overloaded or not ready, or does not accept the token: the same call may succeed later."""
