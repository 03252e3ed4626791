"""Sums over runs by group, and their stored form. Pure.

Durations are counted by value: of a large one nine binary digits, so that an order of magnitude has some 850 values. A percentile of
such counts is some run's value, rounded down by less than 0.4 %, and sums of parts can be added.
"""

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import add
from typing import Any, Literal, get_args

Dimension = Literal["instance", "model", "key", "source", "error"]
Measure = Literal["waiting_ms", "first_token_ms", "duration_ms"]
Group = tuple[str | None, ...]

MEASURES: tuple[Measure, ...] = get_args(Measure)
_PERCENTS = (50, 95)
_NUMBERS = 11
_EXACT = 512
_MANTISSA_BITS = 8


@lru_cache(maxsize=50_000)
def code_of(value: int) -> int:
    """Return the code of a duration: it grows with the duration, and those below 512 have one each."""
    if value < _EXACT:
        return value
    power = value.bit_length() - _MANTISSA_BITS - 1
    return (power << _MANTISSA_BITS) + (value >> power)


def value_of(code: int) -> int:
    """Return the smallest duration that has a code."""
    if code < _EXACT:
        return code
    power = (code >> _MANTISSA_BITS) - 1
    return (code - (power << _MANTISSA_BITS)) << power


@dataclass(slots=True)
class Sums:
    """Sums of one group."""

    numbers: list[int] = field(default_factory=lambda: [0] * _NUMBERS)
    """Runs, ended, failed, warm, those whose start is known, input tokens and the runs that have them, output tokens and theirs, cost
    and the runs that have one."""
    codes: tuple[dict[int, int], ...] = field(default_factory=lambda: tuple({} for _ in MEASURES))
    """Number of runs by code, of each measure."""

    def percentiles(self) -> dict[Measure, tuple[int, int]]:
        """Return p50 and p95 in milliseconds (nearest rank) of each measure that a run has."""
        return {
            measure: (_nearest(codes, _PERCENTS[0]), _nearest(codes, _PERCENTS[1]))
            for measure, codes in zip(MEASURES, self.codes, strict=True)
            if codes
        }


def _nearest(codes: dict[int, int], percent: int) -> int:
    left = (sum(codes.values()) * percent + 99) // 100
    for code in sorted(codes):
        left -= codes[code]
        if left <= 0:
            return value_of(code)
    raise AssertionError


COUNTED = ("phase", "start", "ended_at", "input_tokens", "output_tokens", "cost", *MEASURES)
"""Columns of a run that are counted, the last ones of a row."""


class UsageSums:
    """Sums by group, which runs and stored sums are added to."""

    def __init__(self) -> None:
        self.groups: dict[tuple[Any, ...], Sums] = {}

    def of(self, group: tuple[Any, ...]) -> Sums:
        """Return the sums of a group, which are zero at first."""
        sums = self.groups.get(group)
        if sums is None:
            sums = self.groups[group] = Sums()
        return sums

    def add_runs(self, rows: Iterable[Sequence[Any]], group_of: Callable[[Sequence[Any]], tuple[Any, ...]]) -> None:
        """Add runs, as rows that end with the columns ``COUNTED``. ``group_of`` returns the group of a row."""
        groups = defaultdict[tuple[Any, ...], list[Sequence[Any]]](list)
        for row in rows:
            groups[group_of(row)].append(row)
        for group, runs in groups.items():  # by column, because a loop over the runs takes three times as long
            phases, starts, ends, *amounts = list(zip(*runs, strict=True))[-len(COUNTED) :]
            numbers = [len(runs), len(runs) - ends.count(None), phases.count("Failed")]
            numbers += [starts.count("warm"), len(runs) - starts.count(None)]
            for amount in amounts[: -len(MEASURES)]:
                known = [number for number in amount if number is not None]
                numbers += [sum(known), len(known)]
            sums = self.of(group)
            sums.numbers = list(map(add, sums.numbers, numbers))
            for codes, durations in zip(sums.codes, amounts[-len(MEASURES) :], strict=True):
                _count(codes, [code_of(duration) for duration in durations if duration is not None])

    def add_packed(self, content: bytes, group_of: Callable[[Group], tuple[Any, ...] | None]) -> None:
        """Add stored sums. ``group_of`` returns the group that a stored group is part of; None leaves it out."""
        for stored, numbers, *all_codes in json.loads(zlib.decompress(content)):
            group = group_of(tuple(stored))
            if group is None:
                continue
            sums = self.of(group)
            sums.numbers = list(map(add, sums.numbers, numbers))
            for codes, found in zip(sums.codes, all_codes, strict=True):
                if isinstance(found, dict):
                    for code, number in found.items():
                        codes[int(code)] = codes.get(int(code), 0) + number
                else:
                    _count(codes, found)

    def packed(self) -> bytes:
        """Return the sums in their stored form: compressed JSON, a list ``[group, numbers, codes of each measure]`` for each group."""
        groups = [
            [list(group), sums.numbers, *(_shorter(codes) for codes in sums.codes)]
            for group, sums in self.groups.items()
        ]
        return zlib.compress(json.dumps(groups, separators=(",", ":")).encode("ascii"))


def _count(codes: dict[int, int], found: Iterable[int]) -> None:
    """Count codes. Groups are many and small, for which a Counter takes twice as long."""
    for code in found:
        codes[code] = codes.get(code, 0) + 1


def _shorter(codes: dict[int, int]) -> list[int] | dict[int, int]:
    """Return the codes one by one, or the number of each where that is shorter."""
    if sum(codes.values()) < 2 * len(codes):
        return sorted(Counter(codes).elements())
    return dict(sorted(codes.items()))
