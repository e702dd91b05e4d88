"""The dashboard and the alert rules name metrics that the program has."""

import json
import re
from pathlib import Path

import httpx

import pictures

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"


def test_dashboard_and_alerts_use_metrics_that_exist(client: httpx.Client) -> None:
    """Each expression holds metrics of `/metrics` alone; each alert says what to do."""
    headers = {"Content-Type": "image/png"}
    client.post("/api/images?wait=20", content=pictures.png(), headers=headers)
    exposed = set(re.findall(r"^(legibly_\w+)", client.get("/metrics").text, flags=re.M))
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    rules = (FOLDER / "alerts.yaml").read_text()
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = set(re.findall(r"legibly_\w+", " ".join([*expressions, rules])))
    assert used <= exposed
    assert {"legibly_oldest_pending_seconds", "legibly_sweep_failing"} <= used
    assert {"legibly_readings_total", "legibly_stage_seconds_bucket"} <= used
    assert {"legibly_store_errors_total", "legibly_decoder_ends_total"} <= used
    assert "legibly_verdict_drift" in used
    assert rules.count("- alert: ") == rules.count("expr: ") == rules.count("action: ") >= 5
