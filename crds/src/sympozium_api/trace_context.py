"""W3C Trace Context (https://www.w3.org/TR/trace-context/), passed on from a caller to the model. Knows no OpenTelemetry."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from sympozium_api import names

_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{0,200})?"
)
_TRACESTATE = re.compile(r"[ -~]{1,512}")
"""Printable ASCII of the length that every participant must pass on (section 3.3.1.5)."""


@dataclass(frozen=True)
class TraceContext:
    """A span of a trace, as HTTP headers identify it."""

    traceparent: str
    tracestate: str = ""

    @classmethod
    def of(cls, traceparent: str | None, tracestate: str | None = None) -> Self | None:
        """Parse two headers; None if the traceparent is not valid. A tracestate that is not valid is dropped."""
        text = (traceparent or "").strip()
        match = _TRACEPARENT.fullmatch(text)
        if match is None or (match[1] == "00" and match[3]):
            return None
        state = (tracestate or "").strip()
        return cls(text, state if _TRACESTATE.fullmatch(state) else "")

    @classmethod
    def of_annotations(cls, annotations: Mapping[str, str]) -> Self | None:
        """Parse the annotations of an AgentRun."""
        return cls.of(annotations.get(names.ANNOTATION_TRACEPARENT), annotations.get(names.ANNOTATION_TRACESTATE))

    @classmethod
    def minted(cls) -> Self:
        """Return the context of a trace that begins here, and whose first span nobody records."""
        return cls(f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00")

    @property
    def trace_id(self) -> str:
        """Id of the trace: 32 hexadecimal digits."""
        return self.traceparent[3:35]

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers of the span."""
        return {"traceparent": self.traceparent} | ({"tracestate": self.tracestate} if self.tracestate else {})

    @property
    def annotations(self) -> dict[str, str]:
        """Annotations of an AgentRun."""
        return {names.ANNOTATION_TRACEPARENT: self.traceparent} | (
            {names.ANNOTATION_TRACESTATE: self.tracestate} if self.tracestate else {}
        )
