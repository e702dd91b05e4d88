"""A stand-in for Athena and Glue: their calls in the documented shape, over a real socket.

The SQL really runs, on DuckDB over the template's tables (see accuracy/athena_tables.py). Answers
come in small pages, the names of the columns in the first one. It checks no signature and no right.
"""

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from accuracy import athena_tables

PAGE = 7


class StandIn(ThreadingHTTPServer):
    """Queries by id over the store in `folder`; `reason` makes them fail."""

    def __init__(self, folder: Path, *, store: str, database: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.store = store
        self.database = database
        self.reason = ""
        self.requests: list[dict[str, Any]] = []
        self.answers: dict[str, Sequence[list[str | None]]] = {}
        self.polls: dict[str, int] = {}
        self.stopped: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def get_table(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["DatabaseName"] != self.database:
            raise LookupError("EntityNotFoundException")
        location = f"{self.store}/records/{body['Name'].replace('_', '-')}/"
        return {"Table": {"Name": body["Name"], "StorageDescriptor": {"Location": location}}}

    def start_query_execution(self, body: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(body)
        number = f"query-{len(self.requests)}"
        with athena_tables.connected(self.folder) as connection:
            cursor = connection.execute(body["QueryString"])
            names = [column[0] for column in cursor.description or ()]
            rows = [[None if v is None else str(v) for v in row] for row in cursor.fetchall()]
        self.answers[number] = [list[str | None](names), *rows]
        return {"QueryExecutionId": number}

    def get_query_execution(self, body: dict[str, Any]) -> dict[str, Any]:
        number = body["QueryExecutionId"]
        states = ["QUEUED", "RUNNING", "FAILED" if self.reason else "SUCCEEDED"]
        self.polls[number] = self.polls.get(number, -1) + 1
        status = {"State": states[min(self.polls[number], 2)], "StateChangeReason": self.reason}
        scanned = {"DataScannedInBytes": 12_000_000}
        return {"QueryExecution": {"Status": status, "Statistics": scanned}}

    def stop_query_execution(self, body: dict[str, Any]) -> dict[str, Any]:
        self.stopped.append(body["QueryExecutionId"])
        return {}

    def get_query_results(self, body: dict[str, Any]) -> dict[str, Any]:
        rows = self.answers[body["QueryExecutionId"]]
        start = int(body.get("NextToken", 0))
        page = [{"Data": [_cell(value) for value in row]} for row in rows[start : start + PAGE]]
        more = {"NextToken": str(start + PAGE)} if start + PAGE < len(rows) else {}
        return {"ResultSet": {"Rows": page}, **more}


def _cell(value: str | None) -> dict[str, str]:
    return {} if value is None else {"VarCharValue": value}


CALLS = {
    "AWSGlue.GetTable": StandIn.get_table,
    "AmazonAthena.StartQueryExecution": StandIn.start_query_execution,
    "AmazonAthena.GetQueryExecution": StandIn.get_query_execution,
    "AmazonAthena.GetQueryResults": StandIn.get_query_results,
    "AmazonAthena.StopQueryExecution": StandIn.stop_query_execution,
}


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            answer = CALLS[self.headers["X-Amz-Target"]](self.server, body)
        except LookupError as error:
            self._send(400, {"__type": error.args[0], "message": "Entity Not Found"})
            return
        self._send(200, answer)

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextlib.contextmanager
def running(folder: Path, *, store: str, database: str) -> Iterator[StandIn]:
    """The stand-in for the tables of a store whose objects lie in a folder."""
    with StandIn(folder, store=store, database=database) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
