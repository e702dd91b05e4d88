"""`legibly accuracy --engine athena`: what it starts, what it reads, and how it refuses."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import services
from accuracy import athena_tables, cases
from cloud import athena_server, schemas
from legibly import errors, object_keys
from legibly import store as stores
from legibly.accuracy import report
from legibly.accuracy.plan import Plan
from legibly.cli import main
from legibly.cloud import athena
from legibly.cloud.aws import Aws
from legibly.statistics import aggregates

pytestmark = pytest.mark.service("cfn-lint")
STORE = "s3://images/athena-tables"
PARTS = [
    cases.NASTY,
    [
        json.dumps(cases.pair(f"i{n}", str(n % 12), str(n % 7), confidence=n / 99))
        for n in range(99)
    ],
]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[athena_server.StandIn]:
    """A stand-in over a store with new and compacted pairs."""
    cases.write_lines(tmp_path, PARTS, deleted=["i7"])
    database = "legibly_accuracy"
    with athena_server.running(tmp_path, store=STORE, database=database) as standin:
        for service in ("ATHENA", "GLUE"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", standin.url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, os.environ.get(name, "any"))
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        yield standin


def _count(plan: Plan, message: list[str], **how: Any) -> aggregates.Table:
    return athena.table(
        plan,
        **{"base": STORE, "workgroup": "legibly-accuracy", **how},
        aws=Aws(),
        report=message.append,
        poll_seconds=0.01,
    )


def test_the_report_is_plain_pythons(server: athena_server.StandIn) -> None:
    """Both queries run in the workgroup's database; pages, nulls and empty texts come back."""
    message = list[str]()
    table = _count(cases.planned(server.folder), message)
    assert table == cases.expected(PARTS, deleted=["i7"])
    assert len(server.requests) == 2
    for request in server.requests:
        assert request["WorkGroup"] == "legibly-accuracy"
        assert request["QueryExecutionContext"] == {"Database": "legibly_accuracy"}
        assert len(request["ClientRequestToken"]) >= 32
    assert len(server.answers["query-1"]) > 3 * athena_server.PAGE
    assert [line.partition(": ")[2] for line in message] == ["Athena read 0.012 GB"] * 2


@pytest.mark.service("seaweedfs")
def test_the_command_prints_the_report_of_a_bucket(
    server: athena_server.StandIn, seaweedfs: services.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the store's address alone, with the workgroup's usual name."""
    for name, value in seaweedfs.environ.items():
        monkeypatch.setenv(name, value)
    store = stores.open_store(STORE, environ=seaweedfs.environ)
    for path in server.folder.rglob("*.json*"):
        store.create(path.relative_to(server.folder).as_posix(), path.read_bytes())
    command = ["accuracy", STORE, "--engine", "athena", "--json"]
    done = CliRunner().invoke(main.cli, command, catch_exceptions=False)
    expected = report.encode(report.build(cases.expected(PARTS, deleted=["i7"])))
    assert done.stdout_bytes == expected


def test_a_query_that_fails_says_why(server: athena_server.StandIn) -> None:
    """Athena's own words and the remedy; the other query is stopped."""
    server.reason = "Query exhausted: Bytes scanned limit was exceeded"
    with pytest.raises(errors.Unavailable, match=r"FAILED: .*exceeded\. .*AthenaGb"):
        _count(Plan(), [])
    assert set(server.stopped) == {"query-1", "query-2"}


def test_what_is_not_in_the_tables_is_refused(server: athena_server.StandIn) -> None:
    """No tables, another store, a project, Parquet among the new pairs: nothing is started."""
    with pytest.raises(errors.NotFound, match=r"no tables.*legibly cloud accuracy --athena on"):
        _count(Plan(), [], workgroup="other")
    with pytest.raises(errors.Invalid, match="of another store"):
        _count(Plan(), [], base=f"{STORE}/projects/x")
    stray = f"{object_keys.PAIRS}date=2026-11-22/x.parquet"
    for plan in (Plan(parquet=(stray,)), Plan(settled=(stray,))):
        with pytest.raises(errors.Invalid, match=r"1 Parquet files.*legibly compact"):
            _count(plan, [])
    assert not server.requests


def test_tables_and_workgroup_belong_to_the_stack() -> None:
    """The tables' folders are those of the store's keys, named as the command names them."""
    places = {
        name: storage["Location"]["Fn::Sub"].removeprefix("s3://${DataBucket}/")
        for name, storage in athena_tables.definitions().items()
    }
    assert places == {
        "pair_lines": object_keys.PAIRS,
        "settled_pairs": object_keys.SETTLED_PAIRS,
        "readings": object_keys.READINGS,
        "deletions": object_keys.DELETIONS,
    }
    resources = schemas.resources("accuracy.yaml")
    assert resources["Workgroup"]["Properties"]["Name"] == {"Ref": "AWS::StackName"}
    settings = resources["Workgroup"]["Properties"]["WorkGroupConfiguration"]
    assert settings["EnforceWorkGroupConfiguration"] is True
    assert settings["BytesScannedCutoffPerQuery"] == {"Fn::Sub": "${AthenaGb}000000000"}
