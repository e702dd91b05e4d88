"""Requests at random over the OpenAPI document, for `make fuzz` and a short run in CI.

Each case takes an operation of the document, values of its parameters (some as the schema wants
them, some hostile) and a body; the answer has to be below 500, with a status that the document
names and, for errors, as a problem document.
"""

import argparse
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

import pictures
from server import Server

HOSTILE = [
    "",
    "\0",
    "\ud800",
    "%00",
    "../../etc/passwd",
    "9" * 400,
    "-1",
    "1e309",
    "NaN",
    "true",
    "null",
    "ffffffff-ffff-7fff-bfff-ffffffffffff",
    "0" * 36,
    "a" * 3000,
    "７",
    "=1+1",
    "<script>alert(1)</script>",
    "'; DROP TABLE images; --",
    "2026-13-45",
    "\u202e",
]
VALUES: list[Any] = [None, True, 0, -1, 3e38, 10**400, "7", "", [], {}, [[]], {"a": None}, *HOSTILE]
SLOW = {"/api/live"}
"""Streams that do not end by themselves."""


@dataclass
class Report:
    """What a run met."""

    cases: int = 0
    slowest_seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One request."""

    method: str
    path: str
    template: str
    params: dict[str, str]
    headers: dict[str, str]
    content: bytes | None


def cases(document: dict[str, Any], *, seed: int, known: list[str]) -> Iterator[Case]:
    """Endless requests; `known` are values worth trying as ids."""
    chance = random.Random(seed)
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path not in SLOW
    ]
    while True:
        template, method, operation = chance.choice(operations)
        path = template
        params: dict[str, str] = {}
        headers: dict[str, str] = {}
        for parameter in operation.get("parameters", ()):
            if parameter["in"] != "path" and chance.random() < 0.6:
                continue
            value = _text(chance, parameter.get("schema", {}), known)
            if parameter["in"] == "path":
                encoded = quote(value.encode("utf-8", "replace"), safe="") or "x"
                path = path.replace(f"{{{parameter['name']}}}", encoded)
            elif parameter["in"] == "query":
                params[parameter["name"]] = value.encode("utf-8", "replace").decode()
            else:
                headers[parameter["name"]] = quote(value.encode("utf-8", "replace"))[:500]
        content, kind = _body(chance, operation, document)
        if kind:
            headers["Content-Type"] = kind
        if chance.random() < 0.03:
            method = chance.choice(["patch", "put", "delete", "post", "trace", "options"])
        yield Case(method.upper(), path, template, params, headers, content)


def _text(chance: random.Random, schema: dict[str, Any], known: list[str]) -> str:
    if chance.random() < 0.4:
        return chance.choice(HOSTILE)
    if known and chance.random() < 0.5:
        return chance.choice(known)
    choices = [option for part in schema.get("anyOf", [schema]) for option in part.get("enum", ())]
    return str(chance.choice(choices)) if choices else str(chance.randint(-2, 60))


def _body(
    chance: random.Random, operation: dict[str, Any], document: dict[str, Any]
) -> tuple[bytes | None, str]:
    content = operation.get("requestBody", {}).get("content")
    if not content:
        return None, ""
    kind = chance.choice(sorted(content))
    if kind == "application/json":
        value = _value(chance, content[kind].get("schema", {}), document, depth=0)
        text = json.dumps(value)
        if chance.random() < 0.1:
            text = chance.choice(["", "{", "[" * 5000, "\ud800", "nul", text[:-1], "9" * 5000])
        return text.encode("utf-8", "replace"), kind
    data = bytearray(pictures.png())
    for _ in range(chance.choice([0, 0, 1, 5, 50])):
        data[chance.randrange(len(data))] = chance.randrange(256)
    picture = bytes(data[: chance.choice([len(data), len(data), 0, 20])])
    if kind.startswith("image/"):
        return picture, chance.choice(["image/png", "image/jpeg", "image/tiff", "image/svg+xml"])
    if kind == "multipart/form-data":
        name = chance.choice(["a.png", "../../a.png", 'a"\r\nX: y', "", "ü.png"])
        label = chance.choice(["", "7", "\0", "x" * 300])
        form = (
            f'--b\r\nContent-Disposition: form-data; name="label"\r\n\r\n{label}\r\n'
            f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        )
        ending = chance.choice(["\r\n--b--\r\n", "\r\n--b", ""])
        return form.encode() + picture + ending.encode(), "multipart/form-data; boundary=b"
    return picture, kind


def _value(
    chance: random.Random, schema: dict[str, Any], document: dict[str, Any], *, depth: int
) -> Any:
    if chance.random() < 0.25 or depth > 4:
        return chance.choice(VALUES)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _value(chance, document["components"]["schemas"][name], document, depth=depth)
    if "anyOf" in schema:
        return _value(chance, chance.choice(schema["anyOf"]), document, depth=depth)
    if "enum" in schema:
        return chance.choice(schema["enum"])
    if schema.get("type") == "object" or "properties" in schema:
        return {
            name: _value(chance, part, document, depth=depth + 1)
            for name, part in schema.get("properties", {}).items()
            if chance.random() < 0.85
        }
    if schema.get("type") == "array":
        items = schema.get("items", {})
        count = chance.randint(0, 3)
        return [_value(chance, items, document, depth=depth + 1) for _ in range(count)]
    return {"integer": 3, "number": 0.5, "boolean": True, "string": "7"}.get(
        str(schema.get("type"))
    )


def fault_of(document: dict[str, Any], case: Case, response: httpx.Response) -> str | None:
    """What is wrong with an answer; None where nothing is."""
    status = response.status_code
    if status >= 500 and status != 503:
        return f"{status}"
    operation = document["paths"][case.template].get(case.method.lower())
    if operation is None or status == 405:
        return None
    if str(status) not in operation["responses"]:
        return f"{status} is not documented"
    kind = response.headers.get("content-type", "").partition(";")[0]
    if status >= 400 and kind != "application/problem+json":
        return f"{status} is {kind or 'nothing'}, no problem document"
    return None


def run(
    base_url: str, *, seed: int, count: int = 10**9, seconds: float = 1e9, token: str = ""
) -> Report:
    """Send cases until `count` or `seconds` are over."""
    report = Report()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=base_url, headers=headers, timeout=60) as client:
        document = client.get("/openapi.json").json()
        sent = client.post(
            "/api/images?wait=20", content=pictures.png(), headers={"Content-Type": "image/png"}
        )
        known = [sent.json()["id"], "digits", "default", "0", "7", "read"]
        ends = time.monotonic() + seconds
        for case in cases(document, seed=seed, known=known):
            if report.cases >= count or time.monotonic() > ends:
                return report
            begun = time.monotonic()
            try:
                response = client.request(
                    case.method,
                    case.path,
                    params=case.params,
                    headers=case.headers,
                    content=case.content,
                )
                fault = fault_of(document, case, response)
                report.statuses[response.status_code] += 1
            except httpx.HTTPError as error:
                fault = repr(error)
            report.cases += 1
            report.slowest_seconds = max(report.slowest_seconds, time.monotonic() - begun)
            if fault:
                report.faults.setdefault(f"{case.method} {case.template}: {fault}", repr(case))
    raise AssertionError("the cases do not end")


def main() -> None:
    """Fuzz a server of ours, or the one at --url; prints the seed, exits with 1 for any fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a server that is running; else one is started")
    parser.add_argument("--token", default="")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with contextlib.ExitStack() as stack:
        url = options.url
        if url is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = stack.enter_context(Server.started(folder, LEGIBLY_RATE="0")).url
        report = run(url, seed=options.seed, seconds=options.seconds, token=options.token)
    print(f"{report.cases} cases, slowest {report.slowest_seconds:.2f} s, {dict(report.statuses)}")
    for fault, case in sorted(report.faults.items()):
        print(f"{fault}\n    {case[:600]}")
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
