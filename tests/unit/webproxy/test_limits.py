"""Token buckets."""

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock

from sympozium_api.instance import RateLimit
from sympozium_webproxy.limits import RateLimiter

LIMIT = RateLimit(requests_per_minute=60, burst_size=2)


def test_a_burst_passes_and_then_one_request_per_second() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock=clock.monotonic)
    assert [limiter.take("k", LIMIT).allowed for _ in range(3)] == [True, True, False]
    clock.advance(1)
    assert [limiter.take("k", LIMIT).allowed for _ in range(2)] == [True, False]


def test_who_is_refused_is_told_when_to_come_back() -> None:
    limiter = RateLimiter(clock=FakeClock().monotonic)
    slow = RateLimit(requests_per_minute=6, burst_size=1)
    limiter.take("k", slow)
    refused = limiter.take("k", slow)
    assert refused.headers()["Retry-After"] == "10"
    assert refused.headers()["x-ratelimit-remaining-requests"] == "0"


def test_a_lowered_limit_holds_at_once() -> None:
    limiter = RateLimiter(clock=FakeClock().monotonic)
    limiter.take("k", RateLimit(requests_per_minute=60, burst_size=100))
    one = RateLimit(requests_per_minute=60, burst_size=1)
    assert [limiter.take("k", one).allowed for _ in range(2)] == [True, False]


@given(st.lists(st.floats(0, 5), min_size=1, max_size=50), st.integers(1, 600), st.integers(1, 20))
def test_no_pattern_of_requests_gets_more_than_the_rate_and_one_burst(gaps: list[float], rpm: int, burst: int) -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock=clock.monotonic)
    passed = 0
    for gap in gaps:
        clock.advance(gap)
        passed += limiter.take("k", RateLimit(requests_per_minute=rpm, burst_size=burst)).allowed
    assert passed <= burst + clock.seconds * rpm / 60 + 1e-6
