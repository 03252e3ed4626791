from typing import Any

import pytest

from sympozium_console.pages.run_links import links_of
from sympozium_console.pages.run_view import RunView

TRACE = "0af7651916cd43dd8448eb211c80319c"
BODY: dict[str, Any] = {
    "metadata": {"annotations": {"sympozium.ai/traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}},
    "status": {"podName": "r-1/x?", "completedAt": "2026-01-01T00:00:01Z"},
}


def view(**parts: Any) -> RunView:
    known = {"namespace": "team", "name": "r", "uid": "u", "phase": "Failed", "facts": [], "instance": "demo"}
    return RunView(**known | parts)


@pytest.mark.parametrize(
    ("template", "link"),
    [
        ("https://l/{namespace}/{pod}?q={run}", "https://l/team/r-1%2Fx%3F?q=r"),
        ("https://t/{trace}", f"https://t/{TRACE}"),
        ("https://l/{from}/{to}", "https://l/1767225540000/1767225661000"),
        ("https://l/all", "https://l/all"),
    ],
)
def test_places_are_filled_with_the_runs_values_and_a_minute_around_it(template: str, link: str) -> None:
    run = view(body=BODY, accepted=1767225600.0)
    assert links_of(run, {"Logs": template}, now=1767229999.0) == [("Logs", link)]


@pytest.mark.parametrize("template", ["https://t/{trace}", "https://l/{pod}", "https://l/{from}"])
def test_a_link_without_its_value_is_left_out(template: str) -> None:
    assert links_of(view(), {"Trace": template}, now=0) == []


def test_a_run_that_is_gone_has_the_links_that_need_no_pod() -> None:
    assert links_of(view(deleted=10.0, accepted=5.0), {"Logs": "https://l/{run}/{to}"}, now=99) == [
        ("Logs", "https://l/r/70000")
    ]
