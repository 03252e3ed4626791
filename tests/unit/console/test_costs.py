"""Costs of archived runs: exact, written once, and none where there is no price."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.unit.console.archiver_world import ArchiverWorld, ended

from sympozium_archive.database import Database
from sympozium_archive.run_costs import dollars_text, nano_dollars
from sympozium_archive.usage_queries import UsageFilter, UsageQueries
from sympozium_console.history_models import ArchivedRun
from sympozium_console.prices.price_file import BadPrices, PriceFile, parse_prices

PRICES = "own/model:1:\n  input: 2.50\n  output: '10'\n  cached: 1.25\nfree: {input: 0, output: 0}\n"


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES)
    return file


def run(name: str, model: str | None, usage: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    made = ended(name, **spec)
    made["status"] |= {"model": model} if model else {}
    if usage:
        made["status"]["answer"] = {"json": json.dumps({"usage": usage})}
    return made


async def archived(database: Database, prices: Path, *runs: dict[str, Any]) -> ArchiverWorld:
    world = ArchiverWorld(database)
    world.prices = prices
    world.restarted()
    for each in runs:
        world.cluster.put(each)
    await world.indexed()
    await world.loop.archive_missing()
    return world


async def cost_of(world: ArchiverWorld, name: str) -> str | None:
    return ArchivedRun.of_row(await world.row(name)).cost


async def test_an_archived_run_has_its_cost(database: Database, prices: Path) -> None:
    cached = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
    runs = [
        run("own", "own/model:1"),
        run("cached", "own/model:1", cached),
        run("free", "free"),
        run("public", "gpt-4o"),
    ]
    world = await archived(database, prices, *runs, run("unknown", "made-up-model-x"), run("none", None))
    assert await cost_of(world, "own") == "0.0000475"  # 7 x 2.50 and 3 x 10 per million
    assert await cost_of(world, "cached") == "0.0000425"
    assert await cost_of(world, "free") == "0"
    assert await cost_of(world, "public") == "0.0000475"
    assert await cost_of(world, "unknown") == "unpriced"
    assert await cost_of(world, "none") == "unpriced"
    [total] = await UsageQueries(database).usage(UsageFilter(0, 2**60))
    assert (total.cost, total.priced, total.runs) == (137_500, 4, 6)
    metric = world.metrics.registry.get_sample_value("sympozium_archive_cost_usd_total", {"model": "own/model:1"})
    assert metric == pytest.approx(0.00009)


async def test_a_cost_is_fixed_when_the_run_is_archived(database: Database, prices: Path) -> None:
    world = await archived(database, prices, run("own", "own/model:1"))
    await asyncio.to_thread(prices.write_text, "own/model:1: {input: 1000, output: 1000}\n")
    world.restarted()
    await world.indexed()
    await world.loop.archive_missing()
    assert await cost_of(world, "own") == "0.0000475"


async def test_a_run_that_must_not_be_stored_has_its_cost(database: Database, prices: Path) -> None:
    private = run("private", "own/model:1", responseText={"json": '{"asked":{"store":false}}'})
    world = await archived(database, prices, private)
    assert await cost_of(world, "private") == "0.0000475"
    assert await world.content("private") is None


async def test_a_run_that_goes_on_has_no_cost_yet(database: Database, prices: Path) -> None:
    world = ArchiverWorld(database)
    world.cluster.put(run("own", "own/model:1"))
    await world.indexed()
    assert await cost_of(world, "own") is None


def test_prices_are_read_again_when_they_change(prices: Path) -> None:
    file = PriceFile(prices)
    found = file.price("own/model:1")
    assert found is not None
    assert found.of(1_000_000, 0, 0) == Decimal("2.50")
    prices.write_text("own/model:1: {input: 3, output: 3, more: 1}\n" + "#" * 40)
    assert file.price("own/model:1") == found  # what cannot be read changes nothing
    prices.unlink()
    assert file.price("own/model:1") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "must map"),
        ("a: [", "not YAML"),
        ("a: 3", "a: write input"),
        ("a: {input: 1}", "a: write input"),
        ("a: {input: x, output: 1}", "a.input: write US dollars"),
        ("a: {input: -1, output: 1}", "a.input"),
        ("a: {input: 1, output: nan}", "a.output"),
        ("a: {input: 1, output: [1]}", "a.output"),
    ],
)
def test_bad_prices_are_named(text: str, says: str) -> None:
    with pytest.raises(BadPrices, match=says):
        parse_prices(text)


def test_amounts_are_decimal() -> None:
    assert dollars_text(nano_dollars(Decimal("0.1") + Decimal("0.2"))) == "0.3"
    assert dollars_text(nano_dollars(Decimal("1E-7"))) == "0.0000001"
    assert dollars_text(nano_dollars(Decimal(10**9))) == "10000"
