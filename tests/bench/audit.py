"""API writes, counted from the API server's audit log."""

import json
import os
from collections import Counter
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
        """Where the log ends now."""
        return self.path.stat().st_size

    def per_object(self, begin: int, namespaces: dict[str, int]) -> dict[str, dict[str, float]]:
        """Writes since ``begin`` in each namespace, by who wrote, divided by how many objects were made there."""
        counts: dict[str, Counter[str]] = {namespace: Counter() for namespace in namespaces}
        with self.path.open("rb") as log:
            log.seek(begin)
            for line in log:
                event = json.loads(line)
                namespace = event.get("objectRef", {}).get("namespace")
                if namespace in counts and event["verb"] in WRITES:
                    counts[namespace][_writer(event)] += 1
        return {
            namespace: {who: round(count / namespaces[namespace], 2) for who, count in found.most_common()}
            | {"all": round(found.total() / namespaces[namespace], 2)}
            for namespace, found in counts.items()
        }


def _writer(event: dict[str, Any]) -> str:
    """``operator``, ``web-proxy``, or the component of Kubernetes that wrote."""
    name: str = event["user"]["username"].rsplit(":", 1)[-1]
    if name.endswith("-web-endpoint"):
        return "web-proxy"
    return "operator" if name == "sympozium-operator" else name
