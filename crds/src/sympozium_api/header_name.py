"""Names of the headers that a request's caller may send to the model."""

from typing import Annotated

from sympozium_api.base import matching, rule, rules

_OWN_HEADERS = [
    "authorization",
    "proxy-authorization",
    "host",
    "connection",
    "transfer-encoding",
    "content-length",
    "content-type",
    "accept",
    "accept-encoding",
    "idempotency-key",
    "traceparent",
    "tracestate",
    "te",
    "trailer",
    "upgrade",
    "expect",
]
HeaderName = Annotated[
    str,
    matching(
        "^[A-Za-z0-9_-]+$",
        "write the name of a header: letters, digits, - and _",
        min_length=1,
        max_length=128,
        json_schema_extra=rules(
            rule(
                f"!(self.lowerAscii() in {_OWN_HEADERS})",
                "headers that belong to the connection, the API key or the request itself cannot be forwarded",
            )
        ),
    ),
]
