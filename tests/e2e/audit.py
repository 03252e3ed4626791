"""The API server's audit log as a list of rights that were used, and of requests that were refused."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sympozium_api import names

Object = dict[str, Any]

SOON = 60.0
"""Seconds after which a right that was granted before a request counts, on a machine that is as slow as it may be."""


class Right(NamedTuple):
    """One verb on one kind (with its subresource), or on a path that is no object; as a rule of a Role grants it."""

    group: str
    resource: str
    verb: str


@dataclass(frozen=True)
class Use:
    """A request of a service account."""

    account: str
    """``namespace:name``"""
    right: Right
    allowed: bool
    at: str
    """Time at which the API server received the request."""
    secret: str = ""
    """Namespace and name of the Secret that is asked for: Roles grant these by name."""
    too_late: bool = False
    """A web-proxy asked whose instance or rights had been deleted: a deleted instance's rights go before its process does."""


@dataclass(frozen=True)
class AuditLog:
    """The lines of the log from ``begin`` on, through the files to which the API server has renamed it since."""

    path: Path
    inode: int
    """The file that was the log at the beginning."""
    begin: int
    """Offset in that file, in bytes."""

    @classmethod
    def of_this_session(cls) -> "AuditLog | None":
        """Begin where ``local/test.sh`` began, else now. None on a cluster whose engine keeps no log."""
        path = os.environ.get("SYMPOZIUM_AUDIT_LOG")
        if not path:
            return None
        if began := os.environ.get("SYMPOZIUM_AUDIT_BEGIN"):
            inode, _, begin = began.partition(":")
            return cls(Path(path), int(inode), int(begin))
        now = Path(path).stat()
        return cls(Path(path), now.st_ino, now.st_size)

    def uses(self) -> Iterator[Use]:
        """Every request of a service account since then."""
        gone: set[tuple[str, str]] = set()
        for event in self._events():
            about = event.get("objectRef") or {}
            resource, account = about.get("resource"), _account_of(about)
            if resource in ("sympoziuminstances", "roles", "rolebindings"):
                if event["verb"] == "delete":
                    gone.add((resource, account))
                elif event.get("responseStatus", {}).get("code") == 201:  # it is made again
                    gone.discard((resource, account))
            for use in _uses(event):
                yield replace(use, too_late=any(account == use.account for _, account in gone))

    def refused(self) -> Iterator[Use]:
        """Every request for a right that its account did not have. Where it had the right before, or gets it soon, Roles change: what the
        API server and the pods know of them is a moment older.
        """
        had, waiting = set[object](), dict[object, Use]()
        for use in self.uses():
            asked = (use.account, use.right, use.secret)
            if use.allowed:
                had.add(asked)
                if (first := waiting.pop(asked, None)) and _seconds(first.at, use.at) > SOON:
                    yield first
            elif asked not in had and not use.too_late:
                waiting.setdefault(asked, use)
        yield from waiting.values()

    def reads_of_secret(self, name: str) -> Iterator[tuple[str, str]]:
        """Account of each read of a Secret whose answers the log holds, and the kind of the answer."""
        for event in self._events():
            about = event.get("objectRef") or {}
            if (about.get("resource"), about.get("name"), event["verb"]) == ("secrets", name, "get"):
                account = event["user"]["username"].rpartition("serviceaccount:")[2]
                yield account, (event.get("responseObject") or {}).get("kind", "")

    def _events(self) -> Iterator[Object]:
        renamed = sorted(self.path.parent.glob(f"{self.path.stem}-*{self.path.suffix}"))  # their names are times
        files = [*renamed, self.path]
        inodes = [file.stat().st_ino for file in files]
        for file in files[inodes.index(self.inode) if self.inode in inodes else 0 :]:
            with file.open("rb") as log:
                log.seek(self.begin if os.fstat(log.fileno()).st_ino == self.inode else 0)
                for line in log:
                    if line.endswith(b"\n"):  # the last one may be half written
                        yield json.loads(line)


def _account_of(about: Object) -> str:
    """Return the account of the web-proxy to which an instance, a Role or a RoleBinding belongs."""
    name = about.get("name", "")
    is_instance = about.get("resource") == "sympoziuminstances"
    return f"{about.get('namespace')}:{names.web_endpoint_run(name) if is_instance else name}"


def _uses(event: Object) -> Iterator[Use]:
    kind, _, account = event["user"].get("username", "").partition("serviceaccount:")
    decision = event.get("annotations", {}).get("authorization.k8s.io/decision")
    if kind != "system:" or decision is None:
        return
    about = event.get("objectRef") or {}
    secret = f"{about.get('namespace')}/{about.get('name')}" if about.get("resource") == "secrets" else ""
    use = Use(account, _right(event), decision == "allow", event["requestReceivedTimestamp"], secret)
    yield use
    if event["verb"] == "patch" and event.get("responseStatus", {}).get("code") == 201:
        yield replace(use, right=use.right._replace(verb="create"))  # server-side apply of what was not there


def _seconds(first: str, then: str) -> float:
    return (datetime.fromisoformat(then) - datetime.fromisoformat(first)).total_seconds()


def _right(event: Object) -> Right:
    about = event.get("objectRef")
    if about is None:
        return Right("", event["requestURI"].partition("?")[0], event["verb"])
    resource = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
    return Right(about.get("apiGroup", ""), resource, event["verb"])


def granted(rules: list[Object]) -> set[Right]:
    """The rights in the rules of a Role."""
    return {
        Right(group, resource, verb)
        for rule in rules
        for group in rule.get("apiGroups", [""])
        for resource in rule.get("resources") or rule["nonResourceURLs"]
        for verb in rule["verbs"]
    }
