"""The built-in tool ``fetch_url``: a web page as text."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sympozium_api import effective_policy
from sympozium_api.effective_policy import EffectivePolicy
from sympozium_egress.outgoing.http_client import HttpClient, HttpRequest
from sympozium_egress.policy.addresses import AddressPolicy
from sympozium_egress.policy.held_bytes import Hold, uncounted
from sympozium_egress.policy.html_text import page_text
from sympozium_egress.policy.outgoing_headers import USER_AGENT
from sympozium_egress.policy.tool_result import HttpAnswer, ToolResult, cut_mark, of_answer, text_of

FETCH_SECONDS = 10.0
MAX_PAGE_BYTES = 1024 * 1024
_PORTS = frozenset({80, 443, 8080, 8443})
"""Ports of web servers. The model chooses the URL, and other ports speak other protocols."""
_HTML = ("text/html", "application/xhtml+xml")
_ACCEPT = "text/html, text/plain;q=0.9, application/json;q=0.9, */*;q=0.1"


async def fetch(
    http: HttpClient,
    arguments: dict[str, Any],
    addresses: AddressPolicy,
    domains: frozenset[str] | None,
    *,
    held: Callable[[], AbstractContextManager[Hold]] = uncounted,
    policy: EffectivePolicy | None = None,
    namespace: str | None = None,
) -> HttpAnswer:
    """Return the answer to a GET of the page; a host without a dot is a Service of ``namespace``. Raises CallRefused and Unreachable."""
    headers = {"accept": _ACCEPT, "accept-encoding": "identity", "user-agent": USER_AGENT}
    url = str(arguments.get("url", ""))
    request = HttpRequest(
        "GET", url, addresses, domains, headers, ports=_PORTS, held=held, policy=policy, namespace=namespace
    )
    return await http.send(request, max_bytes=effective_policy.fetch_url(policy).max_bytes or MAX_PAGE_BYTES)


def seconds(policy: EffectivePolicy | None) -> float:
    """Return the seconds that a call may take."""
    return min(FETCH_SECONDS, effective_policy.fetch_url(policy).timeout_seconds or FETCH_SECONDS)


def page_result(answer: HttpAnswer) -> ToolResult:
    """Return the text of a page; other content as of any tool."""
    text = text_of(answer) if answer.content_type in _HTML and 200 <= answer.status < 300 else None
    if text is None:
        return of_answer(answer)
    page = page_text(text) or "(the page has no text)"
    return ToolResult(page + (cut_mark(len(answer.body)) if answer.is_cut else ""), is_error=False)
