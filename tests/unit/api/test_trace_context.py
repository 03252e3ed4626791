"""W3C Trace Context: what is passed on, and what is not."""

import pytest

from sympozium_api.trace_context import TraceContext

ID = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


@pytest.mark.parametrize("traceparent", [f"00-{ID}-01", f"00-{ID}-00", f" 00-{ID}-01 ", f"cc-{ID}-01", f"cc-{ID}-01-x"])
def test_what_is_valid_is_passed_on(traceparent: str) -> None:
    found = TraceContext.of(traceparent)
    assert found
    assert found.headers == {"traceparent": traceparent.strip()}
    assert found.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert TraceContext.of_annotations(found.annotations) == found


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        f"00-{ID}",
        f"00-{ID}-01-x",
        f"ff-{ID}-01",
        f"00-{ID.upper()}-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        f"00-{ID}-01\r\nx: y",
        f"cc-{ID}-01-\r\nx: y",
    ],
)
def test_what_is_not_valid_is_dropped(traceparent: str | None) -> None:
    assert TraceContext.of(traceparent, "a=b") is None


def test_a_tracestate_goes_along() -> None:
    found = TraceContext.of(f"00-{ID}-01", "a=b,c=d")
    assert found
    assert found.headers["tracestate"] == "a=b,c=d"
    assert TraceContext.of_annotations(found.annotations) == found


@pytest.mark.parametrize("tracestate", ["", "a=b\r\nx: y", "a=" + "b" * 600, "a=ä"])
def test_a_tracestate_that_is_not_valid_is_left_out(tracestate: str) -> None:
    found = TraceContext.of(f"00-{ID}-01", tracestate)
    assert found
    assert set(found.headers) == {"traceparent"}


def test_a_trace_that_begins_here_is_valid_has_an_id_of_its_own_and_is_not_sampled() -> None:
    minted = [TraceContext.minted() for _ in range(2)]
    assert [TraceContext.of(trace.traceparent) for trace in minted] == minted
    assert minted[0].trace_id != minted[1].trace_id
    assert minted[0].traceparent.endswith("-00")
