"""Pure views of the terminal UI: rows, filters, columns, forms and the command line."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sympozium_api.names import ANNOTATION_ACCEPTED_AT
from sympozium_cli.tui.views.columns import Cell, Column, FittedColumn, fitted, sized
from sympozium_cli.tui.views.command_line import Command, History, NotUnderstood, completions, parse
from sympozium_cli.tui.views.forms import BadValue, endpoint_fields, endpoint_values, pool_fields, with_pool
from sympozium_cli.tui.views.instances import RunCounts, instance_cells, instance_item, run_counts
from sympozium_cli.tui.views.lines import wrapped
from sympozium_cli.tui.views.reading import age
from sympozium_cli.tui.views.runs import RunItem, run_cells, run_item
from sympozium_cli.tui.views.window import window

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
ENDPOINT = {"rpm": "", "burst": "", "hostname": ""}
POOL = {"size": "", "max": "", "idleTTL": ""}


def item(name: str = "r", *, accepted: str = "2026-03-14T09:26:00Z", **columns: Any) -> RunItem:
    metadata = {"name": name, "namespace": "team-a", "annotations": {ANNOTATION_ACCEPTED_AT: accepted}}
    return run_item({"metadata": metadata, "columns": {"Instance": "assistant"} | columns})


@pytest.mark.parametrize(
    ("columns", "phase", "duration"),
    [
        ({}, "○ Pending", "53s"),
        ({"Queue": 2}, "○ Pending place 2", "53s"),
        ({"Reason": "ImageNotFound"}, "○ Pending ImageNotFound", "53s"),
        ({"Phase": "Running", "Reason": "Slow"}, "▶ Running", "53s"),
        ({"Phase": "Serving", "Mode": "server"}, "● Serving", ""),
        ({"Phase": "Failed", "Error": "model_error", "Duration": "1.4s"}, "✗ Failed model_error", "1.4s"),
        ({"Phase": "Paused"}, "· Paused", ""),
    ],
)
def test_a_run_shows_phase_reason_and_duration(columns: dict[str, Any], phase: str, duration: str) -> None:
    cells = run_cells(item(**columns), NOW)
    assert (cells[0].text, cells[7].text) == (phase, duration)


@pytest.mark.parametrize(("at", "shown"), [("00.300", "300ms"), ("01.500", "1.5s"), ("", ""), ("soon", "")])
def test_a_first_token_that_is_not_known_is_not_shown(at: str, shown: str) -> None:
    moment = f"2026-03-14T09:26:{at}Z" if at[:1].isdigit() else at
    assert run_cells(item(**{"First token at": moment}), NOW)[6].text == shown


def test_runs_are_counted_by_instance_without_servers_and_old_failures() -> None:
    runs = [
        item("open", Phase="Running"),
        item("server", Phase="Serving", Mode="server"),
        item("failed", Phase="Failed", **{"Ended at": "2026-03-14T09:00:00Z"}),
        item("failed-before", Phase="Failed", **{"Ended at": "2026-03-14T08:00:00Z"}),
    ]
    assert run_counts(runs, NOW) == {("team-a", "assistant"): RunCounts(open=1, failed=1)}


def test_an_instance_of_another_version_has_its_row() -> None:
    cells = instance_cells(instance_item({"metadata": {"name": "x"}, "spec": {"skills": "none"}}), NOW, None)
    assert [cell.text for cell in cells] == ["x", "", "○ Pending", "[ ] off", "0", "-", "-", "-", "", ""]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["a1", "b1", "b2"]),
        ("b", ["b1", "b2"]),
        ("B 2", ["b2"]),
        ("!b", ["a1"]),
        ("b !1", ["b2"]),
        ("!", []),
        ("nothing", []),
    ],
)
def test_a_filter_wants_all_words_and_none_behind_an_exclamation_mark(text: str, names: list[str]) -> None:
    items = [instance_item({"metadata": {"name": name}}) for name in ("b2", "a1", "b1")]
    assert [found.key[1] for found in window(items, text).items] == names


@pytest.mark.parametrize(
    ("text", "most", "counts"),
    [
        ("", 9, "3"),
        ("b", 9, "2 of 3"),
        ("", 2, "first 2 of 3"),
        ("b", 1, "first 1 of 2, 3 in all"),
    ],
)
def test_a_window_says_how_many_there_are(text: str, most: int, counts: str) -> None:
    items = [instance_item({"metadata": {"name": name}}) for name in ("b2", "a1", "b1")]
    assert window(items, text, most=most).counts == counts


@pytest.mark.parametrize(
    ("width", "wanted"),
    [
        (50, [(0, 30), (1, 4), (2, 4)]),
        (40, [(0, 28), (1, 4), (2, 4)]),
        (30, [(0, 24), (2, 4)]),
        (5, [(0, 8), (2, 4)]),
    ],
)
def test_columns_are_cut_and_then_left_out_by_rank(width: int, wanted: list[tuple[int, int]]) -> None:
    columns = [Column("NAME", can_be_cut=True), Column("MORE", rank=2), Column("AGE")]
    rows = [[Cell("n" * 30), Cell("m" * 4), Cell("1d4h")]]
    assert fitted(columns, rows, width) == [FittedColumn(*pair) for pair in wanted]


@pytest.mark.parametrize(
    ("text", "width", "right", "wanted"),
    [
        ("abc", 5, False, "abc  "),
        ("abc", 5, True, "  abc"),
        ("abcdef", 4, False, "abc…"),
        ("日本語", 5, False, "日本…"),
        ("abc", 0, False, ""),
    ],
)
def test_texts_have_the_width_of_their_column(text: str, width: int, right: bool, wanted: str) -> None:
    assert sized(text, width, right=right) == wanted


@pytest.mark.parametrize(
    ("text", "width", "wanted"),
    [
        ("short", 10, ["short"]),
        ("one two three", 8, ["one two", "three"]),
        ("  one two", 6, ["  one", "  two"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("日本語", 4, ["日本", "語"]),
    ],
)
def test_lines_wrap_at_blanks(text: str, width: int, wanted: list[str]) -> None:
    assert list(wrapped(text, width)) == wanted


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0s"), (99, "99s"), (312, "5m12s"), (660, "11m"), (11_000, "3h"), (172_800, "2d")],
)
def test_ages_are_kubectls(seconds: int, words: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == words


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("runs", Command("runs")),
        (":ru failed", Command("runs", "failed")),
        ("skillpacks", Command("skills")),
        ("ns all", Command("ns")),
        ("ns team-a", Command("ns", "team-a")),
        ("ctx kind", Command("ctx", "kind")),
        ("quit", Command("q")),
    ],
)
def test_command_lines_are_understood(line: str, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize("line", ["", "x", "ns", "ctx ", "runsx"])
def test_other_command_lines_are_not(line: str) -> None:
    with pytest.raises(NotUnderstood, match="is none of instances"):
        parse(line)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("", ["instances", "runs", "skills", "config", "events", "usage", "ns", "ctx", "q"]),
        ("c", ["config", "ctx"]),
        ("ns ", ["ns all", "ns a", "ns b"]),
        ("ns b", ["ns b"]),
        ("ctx k", ["ctx kind"]),
        ("runs x", []),
    ],
)
def test_command_lines_are_completed(line: str, wanted: list[str]) -> None:
    assert completions(line, ["b", "a"], ["kind", "other"]) == wanted


def test_a_history_has_each_line_once_and_stops_at_both_ends() -> None:
    history = History()
    assert (history.older(), history.newer()) == ("", "")
    for line in ("one", "two", "one"):
        history.add(line)
    assert [history.older(), history.older(), history.older()] == ["one", "two", "two"]
    assert [history.newer(), history.newer(), history.newer()] == ["one", "", ""]


def test_the_form_of_an_endpoint_says_which_values_a_param_sets() -> None:
    spec = {
        "skills": [{"skillPackRef": "web-endpoint", "params": {"rate_limit_rpm": "30"}}],
        "webEndpoint": {"rateLimit": {"requestsPerMinute": 90, "burstSize": 5}},
    }
    fields = {field.name: (field.value, field.hint) for field in endpoint_fields({"spec": spec})}
    assert fields["enabled"][0] is True
    assert fields["rpm"] == ("30", "set by the skill's param")
    assert fields["burst"] == ("5", "requests at once; empty: 10")


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "²", "1000001"])
def test_a_form_takes_whole_numbers_in_their_bounds(text: str) -> None:
    with pytest.raises(BadValue, match="from 1 to 1000000") as caught:
        endpoint_values(ENDPOINT | {"burst": text})
    assert caught.value.field == "burst"


def test_empty_fields_remove_their_values() -> None:
    removed = {"rateLimit": {"requestsPerMinute": None, "burstSize": None}, "hostname": None}
    assert endpoint_values(ENDPOINT) == removed
    instance = {"spec": {"agents": {"default": {"model": "m", "warmPool": {"size": 3, "idleTTL": "5m"}}}}}
    assert [field.value for field in pool_fields(instance)] == ["3", "", "5m"]
    assert with_pool(instance, POOL)["spec"]["agents"]["default"] == {"model": "m"}
    assert with_pool(instance, POOL | {"max": "5"})["spec"]["agents"]["default"]["warmPool"] == {"max": 5}
