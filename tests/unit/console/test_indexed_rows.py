"""Rows of the index: what is taken from a run's metadata and columns, whatever its tenant wrote there."""

from typing import Any

import pytest

from sympozium_api import names, run_columns
from sympozium_api.resources import Object
from sympozium_api.run import ENDED_AT
from sympozium_console.run_index.indexed_rows import UnreadableRow, deleted, indexed

CREATED = "2026-11-29T10:00:00Z"
SECOND = 1_000_000
BEGIN = 1_795_946_400 * SECOND
"""CREATED in microseconds since 1970."""


def row(columns: Object | None = None, **metadata: Any) -> Object:
    own = {"uid": "u-1", "namespace": "team", "name": "run-1", "creationTimestamp": CREATED, "resourceVersion": "7"}
    shown = {run_columns.MODE: "task", run_columns.INSTANCE: "demo", run_columns.PHASE: "Succeeded"}
    return {"metadata": own | metadata, "columns": shown | (columns or {})}


def test_a_row_has_who_asked_what_it_took_and_how_it_ended() -> None:
    found = indexed(
        row(
            {
                run_columns.START: "warm",
                run_columns.MODEL: "m",
                run_columns.USER: "ada",
                run_columns.SESSION: "s",
                run_columns.ERROR: "timeout",
                run_columns.INPUT_TOKENS: 7,
                run_columns.OUTPUT_TOKENS: 5,
                run_columns.TOOL_CALLS: 2,
            },
            labels={names.LABEL_SOURCE: "mcp"},
            annotations={names.ANNOTATION_KEY_ID: "ci"},
            ownerReferences=[{"kind": "SympoziumInstance", "name": "demo", "uid": "i-1"}],
        )
    )
    assert found
    assert (found.uid, found.namespace, found.name, found.resource_version) == ("u-1", "team", "run-1", "7")
    assert (found.instance, found.instance_uid, found.source, found.key_id) == ("demo", "i-1", "mcp", "ci")
    assert (found.phase, found.start, found.model, found.error) == ("Succeeded", "warm", "m", "timeout")
    assert (found.user, found.session) == ("ada", "s")
    assert (found.input_tokens, found.output_tokens, found.tool_calls) == (7, 5, 2)
    assert not found.is_private


def test_times_are_exact_where_a_run_has_exact_ones() -> None:
    exact = indexed(
        row(
            {
                run_columns.STARTED: "2026-11-29T10:00:02Z",
                run_columns.FIRST_TOKEN_AT: "2026-11-29T10:00:03.250000Z",
                run_columns.EXACT_END: "2026-11-29T10:00:04.500000Z",
                ENDED_AT: "2026-11-29T10:00:04Z",
            },
            annotations={names.ANNOTATION_ACCEPTED_AT: "2026-11-29T10:00:00.250000Z"},
        )
    )
    assert exact
    assert exact.created_at == BEGIN + SECOND // 4
    assert (exact.waiting_ms, exact.first_token_ms, exact.duration_ms) == (1750, 3000, 4250)
    whole = indexed(row({ENDED_AT: "2026-11-29T10:00:04Z"}))
    assert whole
    assert (whole.created_at, whole.ended_at, whole.duration_ms) == (BEGIN, BEGIN + 4 * SECOND, 4000)


def test_a_start_in_the_second_of_acceptance_is_no_negative_wait() -> None:
    found = indexed(
        row(
            {run_columns.STARTED: CREATED},
            annotations={names.ANNOTATION_ACCEPTED_AT: "2026-11-29T10:00:00.900000Z"},
        )
    )
    assert found
    assert found.waiting_ms == 0


@pytest.mark.parametrize(
    "value",
    [
        "soon",
        "",
        "2026-13-45T99:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        5,
        1e300,
        [],
        {},
        True,
    ],
)
def test_a_time_or_a_count_that_is_none_is_unknown(value: Any) -> None:
    times = (run_columns.STARTED, run_columns.FIRST_TOKEN_AT, run_columns.EXACT_END, ENDED_AT)
    found = indexed(row(dict.fromkeys(times, value)))
    assert found
    assert (found.started_at, found.first_token_at, found.ended_at, found.duration_ms) == (None, None, None, None)


@pytest.mark.parametrize("value", ["7", -1, 1.5, True, None, [1], {"a": 1}])
def test_a_count_that_is_none_is_unknown(value: Any) -> None:
    found = indexed(row({run_columns.INPUT_TOKENS: value}))
    assert found
    assert found.input_tokens is None


@pytest.mark.parametrize("accepted", ["1999-01-01T00:00:00Z", "2999-01-01T00:00:00.5Z", "zzz", ""])
def test_an_annotation_moves_no_run_out_of_the_second_of_its_creation(accepted: str) -> None:
    found = indexed(row(annotations={names.ANNOTATION_ACCEPTED_AT: accepted}))
    assert found
    assert BEGIN <= found.created_at <= BEGIN + SECOND


@pytest.mark.parametrize("value", [7, ["x"], {"a": "b"}, ""])
def test_a_text_that_is_none_is_unknown(value: Any) -> None:
    found = indexed(row({run_columns.MODEL: value, run_columns.USER: value}, labels={names.LABEL_SOURCE: value}))
    assert found
    assert (found.model, found.user, found.source) == (None, None, None)


def test_columns_that_an_older_crd_lacks_are_unknown() -> None:
    found = indexed(row() | {"columns": {run_columns.INSTANCE: "demo"}})
    assert found
    assert (found.phase, found.model, found.input_tokens, found.ended_at) == ("Pending", None, None, None)


def test_a_server_run_has_no_row() -> None:
    assert indexed(row({run_columns.MODE: "server"})) is None
    server = {"columns": {run_columns.INSTANCE: "demo"}}
    assert indexed(row(name=names.web_endpoint_run("demo")) | server) is None  # the CRD has no column of the mode


def test_an_owner_of_another_kind_or_name_is_not_the_instance() -> None:
    owners = [{"kind": "Job", "name": "demo", "uid": "j"}, {"kind": "SympoziumInstance", "name": "other", "uid": "o"}]
    found = indexed(row(ownerReferences=owners))
    assert found
    assert found.instance_uid is None


def test_a_discarded_run_is_private() -> None:
    found = indexed(row(annotations={names.ANNOTATION_DISCARDED: "true"}))
    assert found
    assert found.is_private


@pytest.mark.parametrize("missing", ["uid", "namespace", "name", "creationTimestamp"])
def test_a_row_without_identity_is_unreadable(missing: str) -> None:
    with pytest.raises(UnreadableRow):
        indexed(row(**{missing: None}))


def test_a_deleted_run_keeps_its_end_and_fails_if_it_had_none() -> None:
    ended, running = indexed(row({ENDED_AT: CREATED})), indexed(row({run_columns.PHASE: "Running"}))
    assert ended
    assert running
    gone = deleted(ended, BEGIN + 9 * SECOND)
    assert (gone.phase, gone.error, gone.ended_at, gone.deleted_at) == ("Succeeded", None, BEGIN, BEGIN + 9 * SECOND)
    gone = deleted(running, BEGIN + 9 * SECOND)
    assert (gone.phase, gone.error, gone.ended_at, gone.duration_ms) == (
        "Failed",
        "deleted",
        BEGIN + 9 * SECOND,
        9000,
    )


def test_a_row_holds_no_more_of_a_text_than_the_table_does() -> None:
    found = indexed(row({run_columns.USER: "u" * 100_000}, annotations={names.ANNOTATION_KEY_ID: "k" * 200_000}))
    assert found
    assert (found.user, found.key_id) == ("u" * 256, "k" * 256)
