"""Headers of a webhook's call: the Tool's own, then the guard's, which win. Nothing of the caller's."""

import hashlib
import re
from collections.abc import Mapping

from sympozium_api.run import AgentRun
from sympozium_api.trace_context import TraceContext

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
USER_AGENT = "sympozium-egress"


def webhook_headers(configured: Mapping[str, str], run: AgentRun, call_id: str) -> dict[str, str]:
    """Return the headers of a call, without credentials. Names are in lower case."""
    trace = TraceContext.of_annotations(run.metadata.annotations)
    return {
        **{name.lower(): value for name, value in configured.items()},
        "content-type": "application/json",
        "accept-encoding": "identity",
        "user-agent": USER_AGENT,
        "idempotency-key": idempotency_key(run, call_id),
        **({"traceparent": trace.traceparent} if trace else {}),
    }


def idempotency_key(run: AgentRun, call_id: str) -> str:
    """Return the key of a call, the same for all its attempts: the run's UID and the call's id, or the id's hash where a header
    could not hold the id.
    """
    own = call_id if _SAFE_ID.fullmatch(call_id) else hashlib.sha256(call_id.encode(errors="replace")).hexdigest()
    return f"{run.metadata.uid}.{own}"
