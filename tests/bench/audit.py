"""API writes, counted from the API server's audit log."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITES = ("create", "update", "patch", "delete", "deletecollection")


@dataclass(frozen=True)
class AuditLog:
    """The audit log of the local cluster's API server."""

    path: Path

    @classmethod
    def from_environment(cls) -> "AuditLog | None":
        """The log that ``.local/env`` names; None on a cluster that keeps none."""
        path = os.environ.get("SYMPOZIUM_AUDIT_LOG")
        return cls(Path(path)) if path else None

    def position(self) -> int:
        """Return the log's end as of now."""
        return self.path.stat().st_size

    def since(self, begin: int) -> Iterator[dict[str, Any]]:
        """Return what was written from there on."""
        with self.path.open("rb") as log:
            log.seek(begin)
            for line in log:
                if line.endswith(b"\n"):  # the last one may be half written
                    yield json.loads(line)

    def per_object(self, begin: int, namespaces: dict[str, int]) -> dict[str, dict[str, float]]:
        """Writes since ``begin`` in each namespace, by who wrote, divided by how many objects were made there."""
        counts: dict[str, Counter[str]] = {namespace: Counter() for namespace in namespaces}
        for event in self.since(begin):
            namespace = event.get("objectRef", {}).get("namespace")
            if namespace in counts and event["verb"] in WRITES:
                counts[namespace][writer(event)] += 1
        return {
            namespace: {who: round(count / namespaces[namespace], 2) for who, count in found.most_common()}
            | {"all": round(found.total() / namespaces[namespace], 2)}
            for namespace, found in counts.items()
        }


def writer(event: dict[str, Any]) -> str:
    """``operator``, ``web-proxy``, ``node``, or the component of Kubernetes that called."""
    user: str = event["user"]["username"]
    name = user.rsplit(":", 1)[-1]
    if name.endswith("-web-endpoint"):
        return "web-proxy"
    if user.startswith("system:node:"):
        return "node"
    return "operator" if name == "sympozium-operator" else name
