"""Small decisions of the egress guard: text of pages, results, retries, headers, settings."""

import asyncio
import encodings.aliases
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.operator.objects import run as any_run

from sympozium_api.settings_parser import InvalidSetting
from sympozium_egress import egress_settings
from sympozium_egress.outgoing.attempts import Attempts
from sympozium_egress.outgoing.http_client import Unreachable
from sympozium_egress.policy import retries
from sympozium_egress.policy.html_text import page_text
from sympozium_egress.policy.outgoing_headers import idempotency_key, webhook_headers
from sympozium_egress.policy.tool_result import HttpAnswer, of_answer, redacted


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<title>T</title><p>a<p>b", "T\na\nb"),
        ("<script>x</script>a<style>y</style>", "a"),
        ("<head><script>x</script><title>T</title></head><body>a", "T\na"),
        ("<head><meta><body>a", "a"),
        ("a &amp; b &lt;c&gt; &#x41;", "a & b <c> A"),
        ("<table><tr><td>1<td>2<tr><td>3", "1 2\n3"),
        ("<p>a<noscript>x</noscript> b  \n c</p>", "a b c"),
        ("<![CDATA[x]]><!-- y --><p", ""),
        ("plain", "plain"),
        ("1 < 2 <3 & 4", "1 < 2 <3 & 4"),
        ('<a href="x">y</A> z', "y z"),
        ("a<svg><p>x</p></svg>b<script>x", "ab"),
    ],
)
def test_a_pages_text_is_what_a_reader_sees(html: str, text: str) -> None:
    assert page_text(html) == text


@given(st.text(alphabet="<>/!-[]&;#'\"= abscriptyledv\n", max_size=300))
def test_no_page_breaks_the_reader(html: str) -> None:
    page_text(html)


@pytest.mark.parametrize(
    "piece",
    ["<", "<!", "<!--", "<![", "</", "<a ", "<a b='", "&", "&#", "<script", "<p>", "<script></script>", "\u0130"],
)
def test_a_page_of_a_mebibyte_takes_little_time_whatever_is_in_it(piece: str) -> None:
    began = time.process_time()
    page_text(piece * (1024 * 1024 // len(piece)))
    assert time.process_time() - began < 10, "quadratic time would take hours"


@pytest.mark.parametrize("digits", ["1" * 5000, "x" + "f" * 5000])
def test_a_character_reference_of_any_length_is_read(digits: str) -> None:
    assert page_text(f"<p>a&#{digits};b") == "a\ufffdb"


@pytest.mark.parametrize("charset", [*sorted(set(encodings.aliases.aliases.values())), "idna", "punycode", "undefined"])
@pytest.mark.parametrize("body", [b"plain", bytes(range(256)), b"\xff\xfe\x00"])
def test_no_charset_breaks_the_reading_of_an_answer(charset: str, body: bytes) -> None:
    assert not of_answer(HttpAnswer(200, "text/plain", charset, "", body)).is_error


def test_a_charset_cannot_make_an_answer_slow() -> None:
    began = time.process_time()
    assert of_answer(HttpAnswer(200, "text/plain", "punycode", "", b"a-" + b"a" * 100_000)).text.startswith("a-a")
    assert time.process_time() - began < 0.5, "quadratic time would hold up all calls for minutes"


def test_the_charsets_of_the_web_are_read() -> None:
    for charset in ("ISO-8859-1", "windows-1251", "Shift_JIS", "EUC-KR", "GB18030", "Big5", "KOI8-R", "UTF-16"):
        assert of_answer(HttpAnswer(200, "text/plain", charset, "", "Ω".encode(charset, "replace"))).text in ("Ω", "?")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), (" 0 ", 0.0), ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0), ("Thu, 01 Jan 2025 00:00:00 GMT", 0.0)]
    + [(text, None) for text in ("", "soon", "-1", "1.5", "٣", "Thu, 99 Jan")],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert retries.retry_after_seconds(text, datetime(2026, 1, 1, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    ("attempt", "jitter", "retry_after", "left", "seconds"),
    [(0, 0.5, None, 10, 0.2), (1, 0.5, None, 10, 0.4), (0, 0, 3, 10, 3), (0, 0, 30, 10, None), (9, 1, None, 10, 7.5)],
)
def test_a_delay_grows_and_never_outlasts_the_call(
    attempt: int, jitter: float, retry_after: float | None, left: float, seconds: float | None
) -> None:
    found = retries.delay(attempt, jitter=jitter, retry_after=retry_after, seconds_left=left)
    assert found == (None if seconds is None else pytest.approx(seconds))


def answer(status: int = 200, **how: Any) -> HttpAnswer:
    return HttpAnswer(status, "text/plain", "", "", b"x", **how)


def attempts(number: int, waited: list[float]) -> Attempts:
    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    return Attempts(number, sleep=sleep, jitter=lambda: 0.5, now=lambda: 0.0)


async def test_attempts_end_with_the_first_final_answer() -> None:
    waited: list[float] = []
    script: list[HttpAnswer | Unreachable] = [Unreachable("x"), answer(503, retry_after="2"), answer(404), answer()]

    async def attempt() -> HttpAnswer:
        found = script.pop(0)
        if isinstance(found, Unreachable):
            raise found
        return found

    assert (await attempts(5, waited).make(attempt, deadline=10.0)).status == 404
    assert waited == [pytest.approx(0.2), 2.0]


async def test_what_no_attempt_can_mend_is_not_tried_again() -> None:
    tried = 0

    async def attempt() -> HttpAnswer:
        nonlocal tried
        tried += 1
        raise Unreachable("certificate", retried=False)

    with pytest.raises(Unreachable):
        await attempts(2, []).make(attempt, deadline=10.0)
    assert tried == 1


async def test_a_cancelled_call_is_not_tried_again() -> None:
    async def attempt() -> HttpAnswer:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await attempts(2, []).make(attempt, deadline=10.0)


def test_a_result_never_repeats_a_secret() -> None:
    assert redacted("a sk-12345 b sk-12345", ["sk-12345", "", "b"]) == "a [redacted] b [redacted]"


def test_the_guards_headers_win_and_no_id_breaks_one() -> None:
    run = any_run()
    headers = webhook_headers({"X-Team": "a", "User-Agent": "mine"}, run, "call\r\nx: y")
    assert headers["x-team"] == "a"
    assert headers["user-agent"] == "sympozium-egress"
    assert "\r" not in headers["idempotency-key"]
    assert idempotency_key(run, "call_1") == f"{run.metadata.uid}.call_1"
    assert idempotency_key(run, "天") != idempotency_key(run, "気")


def test_settings_have_defaults_and_refuse_what_they_cannot_read() -> None:
    environ = {"SYMPOZIUM_NAMESPACE": "sympozium-system"}
    assert egress_settings.from_environment(environ).retries == 2
    found = egress_settings.from_environment(environ | {"SYMPOZIUM_EGRESS_PRIVATE_NETWORKS": "10.0.0.0/8, fd00::/8"})
    assert len(found.private_networks) == 2
    for name, text in {
        "SYMPOZIUM_EGRESS_PRIVATE_NETWORKS": "10.0.0.1/8",
        "SYMPOZIUM_EGRESS_MAX_RESPONSE": "1",
        "SYMPOZIUM_EGRESS_REDIS_URL": "http://x",
        "TOOL_RETRY_ATTEMPTS": "-1",
    }.items():
        with pytest.raises(InvalidSetting, match=name):
            egress_settings.from_environment(environ | {name: text})
