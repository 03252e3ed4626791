"""The work queue: first without an event loop, then on one whose time is moved by hand."""

import asyncio

import pytest
from tests.fakes.virtual_time import VirtualTime, rest

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_operator.result import DONE, Key, KeyKind, Result
from sympozium_operator.scheduling.work_queue import LONGEST_BACKOFF, SPREAD_PER_SECOND, Schedule, WorkQueue

A, B = Key("run", "team", "a"), Key("run", "team", "b")


def schedule() -> Schedule:
    return Schedule(jitter=lambda: 1.0)


def test_a_key_added_often_is_worked_on_once() -> None:
    keys = schedule()
    for _ in range(3):
        keys.add(A)
    assert keys.take(4) == A
    assert keys.take(4) is None


def test_keys_are_worked_on_in_order_of_arrival() -> None:
    keys = schedule()
    keys.add(B)
    keys.add(A)
    assert [keys.take(3), keys.take(3)] == [B, A]


@pytest.mark.parametrize("kind", ["provider", "policy"])
def test_what_instances_share_comes_before_a_thousand_of_them(kind: KeyKind) -> None:
    keys = schedule()
    for number in range(1000):
        keys.add(Key("instance", "team", f"i{number}"))
    keys.add(Key(kind, "team", "shared"))
    keys.add(Key(kind, "team", "another"))
    assert keys.depth() == 1002
    assert keys.take(3, urgent=False) == Key(kind, "team", "shared")
    assert keys.take(3, background=False) is None
    assert [keys.take(3), keys.take(3)] == [Key("instance", "team", "i0"), Key(kind, "team", "another")]
    assert [keys.take(3), keys.take(3)] == [Key("instance", "team", f"i{number}") for number in (1, 2)]


def test_a_key_added_while_it_is_worked_on_comes_again_afterwards() -> None:
    keys = schedule()
    keys.add(A)
    keys.take(1)
    keys.add(A)
    assert keys.take(2) is None
    keys.finish(A, 3)
    assert keys.take(3) == A


def test_a_planned_look_comes_when_it_is_due() -> None:
    keys = schedule()
    keys.add_at(A, 10)
    assert keys.take(9.9) is None
    assert keys.next_due() == 10
    assert keys.take(10) == A


def test_an_earlier_plan_wins() -> None:
    keys = schedule()
    keys.add_at(A, 10)
    keys.add_at(A, 5)
    keys.add_at(A, 7)
    assert keys.next_due() == 5
    assert keys.take(5) == A
    keys.finish(A, 5)
    assert keys.next_due() is None


def test_a_look_that_happens_replaces_the_planned_one() -> None:
    keys = schedule()
    keys.add_at(A, 10)
    keys.add(A)
    assert keys.take(1) == A
    keys.finish(A, 2)
    assert keys.next_due() is None


def test_failures_come_back_with_growing_delay_up_to_a_bound() -> None:
    keys, now, delays = schedule(), 0.0, []
    keys.add(A)
    for _ in range(12):
        assert keys.take(now) == A
        keys.finish(A, now, failed=True)
        due = keys.next_due()
        assert due is not None
        delays.append(due - now)
        now = due
    assert delays[:4] == [0.5, 1, 2, 4]
    assert delays[-1] == LONGEST_BACKOFF


def test_a_success_forgets_the_failures() -> None:
    keys = schedule()
    keys.add(A)
    for failed in (True, False, True):
        now = keys.next_due() or 0
        keys.take(now)
        keys.finish(A, now, failed=failed)
        if not failed:
            keys.add(A)
    assert keys.failures[A] == 1


class Work:
    """Reconciler that records its keys, and does what a test tells it."""

    def __init__(self) -> None:
        self.seen: list[Key] = []
        self.active = 0
        self.most = 0
        self.blocked: asyncio.Event | None = None
        self.results: list[Result | Exception] = []

    async def __call__(self, key: Key) -> Result:
        self.seen.append(key)
        self.active += 1
        self.most = max(self.most, self.active)
        try:
            if self.blocked:
                await self.blocked.wait()
        finally:
            self.active -= 1
        result = self.results.pop(0) if self.results else DONE
        if isinstance(result, Exception):
            raise result
        return result


def queue(work: Work, loop: VirtualTime, workers: int = 4) -> WorkQueue:
    found = WorkQueue(work, workers=workers, loop=loop)
    found.schedule.jitter = lambda: 1.0
    found.open()
    return found


async def test_a_closed_queue_drops_what_is_added() -> None:
    work = Work()
    keys = WorkQueue(work, workers=1, loop=VirtualTime())
    keys.add(A)
    keys.open()
    await rest()
    assert work.seen == []
    assert not keys.schedule.ready


async def test_what_is_added_is_worked_on_at_once() -> None:
    work = Work()
    queue(work, VirtualTime()).add(A, B)
    await rest()
    assert work.seen == [A, B]


async def test_no_more_than_the_workers_work_and_never_two_on_one_key() -> None:
    work, loop = Work(), VirtualTime()
    work.blocked = asyncio.Event()
    keys = queue(work, loop, workers=2)
    keys.add(*(Key("run", "team", str(number)) for number in range(5)))
    keys.add(Key("run", "team", "0"))
    await rest()
    assert len(work.seen) == 2
    work.blocked.set()
    await rest()
    assert work.most == 2
    assert [key.name for key in work.seen] == ["0", "1", "2", "3", "4", "0"]


async def test_an_outcome_brings_the_key_back_later_and_others_now() -> None:
    work, loop = Work(), VirtualTime()
    work.results = [Result(requeue_after=5, enqueue=(B,))]
    queue(work, loop).add(A)
    await rest()
    assert work.seen == [A, B]
    await loop.run(4.9)
    assert work.seen == [A, B]
    await loop.run(0.1)
    assert work.seen == [A, B, A]


@pytest.mark.parametrize("error", [ApiUnavailable("away"), RuntimeError("bug")])
async def test_an_exception_brings_the_key_back_with_backoff(error: Exception) -> None:
    work, loop = Work(), VirtualTime()
    work.results = [error, error]
    queue(work, loop).add(A)
    await rest()
    await loop.run(0.5)
    assert len(work.seen) == 2
    await loop.run(0.9)
    assert len(work.seen) == 2
    await loop.run(0.1)
    assert len(work.seen) == 3
    await loop.run(1000)
    assert len(work.seen) == 3


async def test_what_fails_because_its_namespace_goes_is_not_repeated() -> None:
    work, loop = Work(), VirtualTime()
    work.results = [ApiError(403, {"details": {"causes": [{"reason": "NamespaceTerminating"}]}})]
    queue(work, loop).add(A)
    await rest()
    await loop.run(1000)
    assert work.seen == [A]


async def test_planned_looks_wait_for_a_free_worker() -> None:
    work, loop = Work(), VirtualTime()
    keys = queue(work, loop, workers=1)
    work.blocked = asyncio.Event()
    keys.add(A)
    keys.add(B, after=1)
    await loop.run(2)
    assert work.seen == [A]
    work.blocked.set()
    await rest()
    assert work.seen == [A, B]


async def test_a_queue_that_does_not_turn_is_reported_from_one_without_work() -> None:
    work, loop = Work(), VirtualTime()
    keys = queue(work, loop, workers=1)
    await loop.run(500)
    assert keys.stalled() == 0
    work.blocked = asyncio.Event()
    keys.add(A, B)
    await loop.run(50)
    assert keys.stalled() == 50
    work.blocked.set()
    await rest()
    assert keys.stalled() == 0


async def test_a_queue_that_is_closed_stops_its_work_at_once() -> None:
    work, loop = Work(), VirtualTime()
    keys = queue(work, loop, workers=1)
    work.blocked = asyncio.Event()
    keys.add(A)
    await rest()
    await keys.close()
    assert work.active == 0
    assert work.seen == [A]
    await loop.run(1000)
    assert work.seen == [A]


def instance(number: int) -> Key:
    return Key("instance", "team", f"i{number}")


async def test_a_run_does_not_wait_for_the_instances_before_it() -> None:
    began: list[Key] = []

    async def reconcile(key: Key) -> Result:
        began.append(key)
        await asyncio.Event().wait()
        return DONE

    queue = WorkQueue(reconcile, workers=8, loop=VirtualTime())
    queue.open()
    queue.add(*map(instance, range(2000)), A)
    await rest()
    assert began == [A, instance(0), instance(1)] or began == [instance(0), instance(1), A]
    await queue.close()


async def test_instances_do_not_wait_for_thousands_of_runs() -> None:
    done: list[str] = []

    async def reconcile(key: Key) -> Result:
        done.append(key.kind)
        await asyncio.sleep(0)
        return DONE

    queue = WorkQueue(reconcile, workers=4, loop=VirtualTime())
    queue.open()
    queue.add(*(Key("run", "team", f"r{number}") for number in range(2000)), instance(0))
    for _ in range(20):
        await asyncio.sleep(0)
    assert "instance" in done[:100]
    await queue.close()


async def test_the_instances_that_one_change_concerns_are_reconciled_one_after_the_other() -> None:
    done: list[Key] = []

    async def reconcile(key: Key) -> Result:
        done.append(key)
        return Result(spread=tuple(map(instance, range(1000)))) if key.kind == "skillpack" else DONE

    loop = VirtualTime()
    queue = WorkQueue(reconcile, workers=4, loop=loop)
    queue.open()
    queue.add(Key("skillpack", "team", "p"))
    await rest()
    await loop.run(0.995)
    for _ in range(300):
        await asyncio.sleep(0)
    assert len(done) == 1 + SPREAD_PER_SECOND
    await queue.close()
