"""Token buckets."""

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock

from sympozium_api.web_endpoint import RateLimit
from sympozium_runs.rate_limits import RateLimiter

KEY = ("default", "demo", "k")
LIMIT = RateLimit(requests_per_minute=60, burst_size=2)


def test_a_burst_passes_and_then_one_request_per_second() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock=clock.monotonic)
    assert [limiter.take(KEY, LIMIT).allowed for _ in range(3)] == [True, True, False]
    clock.advance(1)
    assert [limiter.take(KEY, LIMIT).allowed for _ in range(2)] == [True, False]


def test_a_refusal_names_the_next_moment() -> None:
    limiter = RateLimiter(clock=FakeClock().monotonic)
    slow = RateLimit(requests_per_minute=6, burst_size=1)
    limiter.take(KEY, slow)
    refused = limiter.take(KEY, slow)
    assert refused.headers()["Retry-After"] == "10"
    assert refused.headers()["x-ratelimit-remaining-requests"] == "0"


def test_a_lowered_limit_applies_at_once() -> None:
    limiter = RateLimiter(clock=FakeClock().monotonic)
    limiter.take(KEY, RateLimit(requests_per_minute=60, burst_size=100))
    one = RateLimit(requests_per_minute=60, burst_size=1)
    assert [limiter.take(KEY, one).allowed for _ in range(2)] == [True, False]


@given(st.lists(st.floats(0, 5), min_size=1, max_size=50), st.integers(1, 600), st.integers(1, 20))
def test_no_pattern_of_requests_gets_more_than_the_rate_and_one_burst(gaps: list[float], rpm: int, burst: int) -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock=clock.monotonic)
    passed = 0
    for gap in gaps:
        clock.advance(gap)
        passed += limiter.take(KEY, RateLimit(requests_per_minute=rpm, burst_size=burst)).allowed
    assert passed <= burst + clock.seconds * rpm / 60 + 1e-6


def test_requests_that_other_replicas_admit_are_charged_and_an_overdraft_is_paid_back() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock=clock.monotonic)
    limiter.charge(KEY, LIMIT)
    assert limiter.take(KEY, LIMIT).allowed
    for _ in range(3):
        limiter.charge(KEY, LIMIT)
    refused = limiter.take(KEY, LIMIT)
    assert (refused.allowed, refused.remaining, refused.retry_seconds) == (False, 0, 4)
    clock.advance(4)
    assert [limiter.take(KEY, LIMIT).allowed for _ in range(2)] == [True, False]


def test_requests_admitted_before_the_start_are_charged_for_their_time() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock=clock.monotonic)
    for age in (100, 1, 0):
        limiter.charge(KEY, LIMIT, seconds_ago=age)
    assert [limiter.take(KEY, LIMIT).allowed for _ in range(2)] == [True, False]


@given(
    st.lists(st.tuples(st.floats(0, 5), st.lists(st.integers(0, 2), max_size=9)), min_size=1, max_size=30),
    st.integers(1, 600),
    st.integers(1, 20),
)
def test_replicas_together_admit_what_one_would_but_for_one_moment(
    moments: list[tuple[float, list[int]]], rpm: int, burst: int
) -> None:
    clock, limit = FakeClock(), RateLimit(requests_per_minute=rpm, burst_size=burst)
    replicas = [RateLimiter(clock=clock.monotonic) for _ in range(3)]
    passed = in_one_moment = 0
    for gap, asked in moments:
        clock.advance(gap)
        admitted = [replica for replica in asked if replicas[replica].take(KEY, limit).allowed]
        for by in admitted:  # what each has admitted reaches the others only after the moment
            for other in {0, 1, 2} - {by}:
                replicas[other].charge(KEY, limit)
        passed, in_one_moment = passed + len(admitted), max(in_one_moment, len(admitted))
    assert passed <= burst + clock.seconds * rpm / 60 + in_one_moment + 1e-6


def test_full_buckets_are_dropped_and_others_are_kept() -> None:
    spent, owes = ("default", "demo", "spent"), ("default", "demo", "owes")
    clock = FakeClock()
    limiter = RateLimiter(clock=clock.monotonic)
    limiter.take(spent, LIMIT)
    for _ in range(200):
        limiter.charge(owes, LIMIT)
    for number in range(10_000):
        clock.advance(0.01)
        limiter.take(("default", "demo", f"passing-{number}"), LIMIT)
    assert len(limiter._buckets) < 3000
    assert limiter.take(spent, LIMIT).remaining == 1
    assert not limiter.take(owes, LIMIT).allowed
