"""The AWS deployment in an emulated account: zip, cold and warm function, PUT to page, and a flood
of pictures.

    python benchmarks/cloud.py [--flood 5000] [--puts 50] [--starts 5] [--functions 2]

Needs `.tools/ministack` (`make system`), with `awslambdaric` in it. The zip is the one that would
be deployed, the template too, and every request is signed and checked. Cold start: from the start
of Lambda's runtime client, in the function's Python over the unpacked zip, to its first answer, the
picture in a folder. All on this machine.
"""

import argparse
import http.client
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import boto3
import httpx
from botocore.config import Config

import emulator as emulators
import pictures
import services
from legibly import object_keys
from legibly.cloud import package
from server import Server
from test_aws_lambda import RuntimeApi, came, delivery


def main() -> None:
    """Measure one after the other; print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flood", type=int, default=5000)
    parser.add_argument("--puts", type=int, default=50)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--functions", type=int, default=2, help="most that run at once")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        zipped = package.function_zip(folder)
        code = folder / "code"
        with zipfile.ZipFile(zipped) as archive:
            unzipped = sum(entry.file_size for entry in archive.infolist())
            archive.extractall(code)
        print(f"zip: {zipped.stat().st_size / 1e6:.1f} MB, unzipped {unzipped / 2**20:.0f} MiB")
        function(code, folder, starts=options.starts)
        (folder / "aws").mkdir()
        with emulators.running(folder / "aws") as account:
            deployed(account, folder, options)


def function(code: Path, folder: Path, *, starts: int) -> None:
    """Cold starts and warm calls in Lambda's own runtime client."""
    store = folder / "store" / "images"
    store.mkdir(parents=True)
    cold = []
    warm = []
    for start in range(starts):
        api = RuntimeApi()
        (store / f"{start}.png").write_bytes(pictures.png())
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(code),
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LAMBDA_FUNCTION_NAME": "reader",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_LOG_GROUP_NAME": "logs",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LEGIBLY_STORE": f"file://{folder}/store",
        }
        command = [
            str(emulators.PLACE.with_name("python")),
            "-m",
            "awslambdaric",
            "legibly.aws_lambda.handler",
        ]
        api.events.put(delivery(came(f"images/{start}.png")))
        began = time.perf_counter()
        with services.running(command, log=folder / "function.log", env=environ):
            kind, answer = api.answers.get(timeout=60)
            cold.append(time.perf_counter() - began)
            if (kind, answer) != ("response", {"batchItemFailures": []}):
                raise SystemExit(f"the function answered {kind}: {answer}")
            for number in range(40):
                (store / f"{start}-{number}.png").write_bytes(pictures.png())
                began = time.perf_counter()
                api.events.put(delivery(came(f"images/{start}-{number}.png")))
                api.answers.get(timeout=60)
                warm.append(time.perf_counter() - began)
        api.close()
    spread = f"min {min(cold):.2f}, max {max(cold):.2f}"
    print(
        f"cold start to first reading: median {statistics.median(cold):.2f} s of {starts}"
        f" ({spread})"
    )
    p95 = 1000 * sorted(warm)[int(0.95 * len(warm))]
    print(
        f"warm canvas PNG, one a call: median {1000 * statistics.median(warm):.1f} ms of"
        f" {len(warm)} (p95 {p95:.1f})"
    )


def deployed(account: emulators.Emulator, folder: Path, options: argparse.Namespace) -> None:
    """PUT to page, and the flood."""
    began = time.perf_counter()
    account.legibly("cloud", "deploy", "--size", "small", "--no-wait")
    print(
        "legibly cloud deploy (packaging included, servers not started):"
        f" {time.perf_counter() - began:.0f} s"
    )
    stack = account.client("cloudformation").describe_stacks(StackName="legibly")["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    functions = account.client("lambda")
    [mapping] = functions.list_event_source_mappings()["EventSourceMappings"]
    functions.update_event_source_mapping(
        UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": options.functions}
    )
    web = folder / "web"
    web.mkdir()
    environ = {
        **account.environ,
        "LEGIBLY_STORE": outputs["Store"],
        "LEGIBLY_QUEUE": outputs["RecordsQueueUrl"],
        "LEGIBLY_CLASSIFY": "elsewhere",
        "LEGIBLY_ACCOUNTS": "off",
    }
    with Server.started(web, **environ) as server:
        to_page(account, outputs, server, puts=options.puts)
        flood(account, outputs, server, count=options.flood)


def to_page(
    account: emulators.Emulator, outputs: dict[str, str], server: Server, *, puts: int
) -> None:
    """From before the PUT to the event on an open page, one picture after the other."""
    s3 = account.client("s3")
    waits = []
    with (
        httpx.Client(base_url=server.url, timeout=60) as client,
        client.stream("GET", "/api/live") as live,
    ):
        lines = live.iter_lines()
        next(lines)
        for number in range(puts + 5):
            key = f"images/page/{number}.png"
            began = time.perf_counter()
            s3.put_object(Bucket=outputs["BucketName"], Key=key, Body=pictures.png())
            next(
                line
                for line in lines
                if line.startswith("data:") and json.loads(line[5:])["state"] == "read"
            )
            waits.append(time.perf_counter() - began)
    warm = sorted(waits[5:])
    median = 1000 * statistics.median(warm)
    p95 = 1000 * warm[int(0.95 * len(warm))]
    print(f"PUT to reading on the page, warm: median {median:.0f} ms of {puts} (p95 {p95:.0f})")


def flood(
    account: emulators.Emulator, outputs: dict[str, str], server: Server, *, count: int
) -> None:
    """Many pictures at once: each one reading, none dead; how fast they drain, to the bucket and to
    the page.
    """
    s3 = boto3.client(
        "s3",
        endpoint_url=account.endpoint,
        region_name="us-east-1",
        aws_access_key_id="root",
        aws_secret_access_key="root-secret",
        verify=str(account.certificate),
        config=Config(max_pool_connections=16),
    )
    bucket = outputs["BucketName"]
    data = pictures.png()
    before = shown(server)
    began = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda n: s3.put_object(Bucket=bucket, Key=f"images/flood/{n}.png", Body=data),
                range(count),
            )
        )
    uploaded = time.perf_counter() - began
    deadline = time.monotonic() + 3600
    while shown(server) < before + count and time.monotonic() < deadline:
        time.sleep(1)
    drained = time.perf_counter() - began
    records = [
        record for record in readings(s3, bucket) if record["key"].startswith("images/flood/")
    ]
    files = sum(1 for _ in listed(s3, bucket))
    dead = account.client("sqs").get_queue_attributes(
        QueueUrl=outputs["ImagesDeadLettersUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]["ApproximateNumberOfMessages"]
    distinct = len({record["key"] for record in records})
    print(
        f"flood of {count}: put in {uploaded:.0f} s, on the page after {drained:.0f} s:"
        f" {count / drained:.0f} a second"
    )
    print(
        f"  {len(records)} readings of {distinct} pictures in {files} files (all runs), {dead} dead"
        " letters"
    )
    if (len(records), distinct, int(dead)) != (count, count, 0):
        raise SystemExit("not every picture has exactly one reading")


def shown(server: Server) -> int:
    """Pictures that the server's index counts as read."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/readyz")
    counts = json.load(connection.getresponse())["images"]
    connection.close()
    return int(counts.get("read", 0))


def listed(s3: object, bucket: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=object_keys.READINGS)  # type: ignore[attr-defined]
    return [thing["Key"] for page in pages for thing in page.get("Contents", [])]


def readings(s3: object, bucket: str) -> list[dict[str, object]]:
    """Every reading record in the bucket."""

    def read(key: str) -> list[dict[str, object]]:
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()  # type: ignore[attr-defined]
        return [json.loads(line) for line in content.splitlines()]

    with ThreadPoolExecutor(8) as pool:
        return [record for records in pool.map(read, listed(s3, bucket)) for record in records]


if __name__ == "__main__":
    main()
