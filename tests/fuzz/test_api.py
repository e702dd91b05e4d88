"""A few hundred requests of `make fuzz`, the same ones each time."""

from pathlib import Path

from fuzz import api_cases
from server import Server


def test_no_request_at_random_gets_an_undocumented_answer(tmp_path: Path) -> None:
    """No 5xx, no status that the document lacks, each error a problem document."""
    with Server.started(tmp_path, LEGIBLY_RATE="0") as server:
        report = api_cases.run(server.url, seed=20261126, count=600, seconds=20)
    assert not report.faults
    assert report.cases >= 50
