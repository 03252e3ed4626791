"""The chart's dashboard is one that Grafana loads whole: each field is in Grafana's own schema, and none that it requires is missing."""

import json
import subprocess
from pathlib import Path

DASHBOARD = Path(__file__).parents[2] / "charts/sympozium/files/dashboard.json"
READER = Path(__file__).with_name("grafana")


def faults(dashboard: str) -> list[str]:
    """Return what Grafana's schema says of a dashboard."""
    go = subprocess.run(["go", "run", "-C", READER, "."], input=dashboard, text=True, check=True, capture_output=True)
    return go.stdout.splitlines()


def test_the_dashboard_fits_grafanas_schema() -> None:
    assert faults(DASHBOARD.read_text()) == []


def test_a_misspelt_field_of_a_panel_is_a_fault() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    panel = next(panel for panel in dashboard["panels"] if panel["type"] == "timeseries")
    panel["options"]["legends"] = {}
    [fault] = faults(json.dumps(dashboard))
    assert "legends" in fault
