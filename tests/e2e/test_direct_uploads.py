"""Files chosen in the browser go straight into an S3 store: SeaweedFS, across origins, beside the
real server.
"""

import io
import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

import pictures
import services
from e2e.conftest import Server, call, context_of, serving

pytestmark = [pytest.mark.service("chromium"), pytest.mark.service("seaweedfs")]
BUCKET = "direct"


class Bucket:
    """The bucket that the server keeps its objects in."""

    def __init__(self, server: services.S3Server) -> None:
        self.s3 = boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            region_name="us-east-1",
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
        )
        self.s3.create_bucket(Bucket=BUCKET)

    def allow(self, origin: str) -> None:
        """What the guide to other S3 servers says to allow."""
        rule = {
            "AllowedOrigins": [origin],
            "AllowedMethods": ["PUT"],
            "AllowedHeaders": ["content-type", "if-none-match"],
        }
        self.s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": [rule]})

    def pictures(self) -> list[str]:
        """The keys of all pictures in it."""
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix="here/images/")
        return [thing["Key"] for thing in listed.get("Contents", [])]

    def read(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


@pytest.fixture(scope="module")
def bucket(seaweedfs: services.S3Server) -> Bucket:
    return Bucket(seaweedfs)


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, seaweedfs: services.S3Server, bucket: Bucket
) -> Iterator[Server]:
    """`legibly serve` over the bucket, whose rules let its pages put."""
    folder = tmp_path_factory.mktemp("direct")
    environ: dict[str, Any] = {
        **seaweedfs.environ,
        "LEGIBLY_STORE": f"s3://{BUCKET}/here",
        "LEGIBLY_SWEEP_SECONDS": "0",
    }
    with serving(folder, **environ) as server:
        bucket.allow(server.url)
        yield server


@pytest.fixture
def empty(served: Server, bucket: Bucket) -> Server:
    """The same with no pictures in it."""
    for image in call(served, "/api/images?limit=500")["images"]:
        call(served, f"/api/images/{image['id']}", method="DELETE")
    assert bucket.pictures() == []
    return served


def chosen(page: Page, *files: tuple[str, str, bytes]) -> None:
    """Choose files as a person does."""
    supplied: list[Any] = [
        {"name": name, "mimeType": kind, "buffer": data} for name, kind, data in files
    ]
    page.locator("#files").set_input_files(supplied)


def sent(page: Page) -> list[tuple[str, str]]:
    """Method and address of every request that brings something, as they are made."""
    matches: list[tuple[str, str]] = []
    page.on(
        "request",
        lambda requested: (
            matches.append((requested.method, requested.url)) if requested.method != "GET" else None
        ),
    )
    return matches


def noise(side: int = 700) -> bytes:
    """A picture whose file is large: one that takes its time."""
    grain = Image.frombytes("RGB", (side, side), os.urandom(3 * side * side))
    return pictures.encoded(grain)


def photo() -> bytes:
    """A 7 that lies on its side, in a JPEG that says so, and where and with what it was taken."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a camera of mine"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 0.0)})
    return pictures.encoded(
        pictures.drawing().rotate(90), "JPEG", exif=exif, comment=b"my comment", quality=95
    )


def test_files_go_straight_into_the_store_and_are_read(
    empty: Server, bucket: Bucket, desktop: Page
) -> None:
    """Each file is put by the browser, none through the server; all are read, with their names,
    without a complaint.
    """
    requested = sent(desktop)
    desktop.goto(empty.url)
    chosen(desktop, *((f"ä {n}.png", "image/png", pictures.png()) for n in range(6)))
    expect(desktop.locator("#queue p")).to_have_text(
        "All done: 6 of 6 sent, 6 read", timeout=30_000
    )
    assert sum(method == "PUT" and "/direct/here/images/" in url for method, url in requested) == 6
    assert not [url for method, url in requested if url == f"{empty.url}/api/images"]
    images = call(empty, "/api/images")["images"]
    assert {image["name"] for image in images} == {f"ä {n}.png" for n in range(6)}
    assert {image["reading"]["text"] for image in images} == {"7"}
    assert len(bucket.pictures()) == 6


def test_what_is_put_tells_nothing_of_its_maker(
    empty: Server, bucket: Bucket, desktop: Page
) -> None:
    """Place, camera and comments are gone before a file leaves the browser; the pixels and their
    orientation stay.
    """
    desktop.goto(empty.url)
    requested = sent(desktop)
    chosen(desktop, ("photo.jpg", "image/jpeg", photo()), ("scan.png", "image/png", _noted()))
    expect(desktop.locator("#queue p")).to_have_text(
        "All done: 2 of 2 sent, 2 read", timeout=30_000
    )
    assert sum(method == "PUT" for method, _ in requested) == 2
    assert {image["reading"]["text"] for image in call(empty, "/api/images")["images"]} == {"7"}
    for key in bucket.pictures():
        data = bucket.read(key)
        assert not [word for word in (b"camera", b"comment", b"GPS", b"Ada") if word in data]
        with Image.open(io.BytesIO(data)) as opened:
            assert dict(opened.getexif()) == ({0x0112: 6} if key.endswith(".jpg") else {})


def _noted() -> bytes:
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add_text("Author", "Ada")
    notes.add_itxt("Comment", "a comment of mine")
    return pictures.encoded(pictures.drawing(), pnginfo=notes)


def test_kinds_that_the_browser_does_not_take_apart_go_through_the_server(
    empty: Server, desktop: Page
) -> None:
    """A WebP, a turned PNG, and what is no picture: none is put; the server takes, or refuses, each
    as ever.
    """
    turned = Image.Exif()
    turned[0x0112] = 3
    requested = sent(desktop)
    desktop.goto(empty.url)
    chosen(
        desktop,
        ("a.webp", "image/webp", pictures.encoded(pictures.drawing(), "WEBP")),
        ("b.png", "image/png", pictures.encoded(pictures.drawing().rotate(180), exif=turned)),
        ("c.png", "image/png", b"hello, no picture"),
    )
    expect(desktop.locator("#queue p")).to_have_text(
        "All done: 2 of 3 sent, 2 read", timeout=30_000
    )
    assert not [url for method, url in requested if method == "PUT"]
    assert {image["reading"]["text"] for image in call(empty, "/api/images")["images"]} == {"7"}


def test_progress_shows_and_a_reload_sends_nothing_twice(
    empty: Server, bucket: Bucket, browser: Browser
) -> None:
    """On a slow line the bar moves within a file; reloaded in the middle, every file is there
    once.
    """
    context = context_of(browser)
    page = context.new_page()
    page.goto(empty.url)
    line = context.new_cdp_session(page)
    slow = {
        "offline": False,
        "latency": 20,
        "downloadThroughput": -1,
        "uploadThroughput": 1_500_000,
    }
    line.send("Network.emulateNetworkConditions", slow)
    chosen(page, *((f"{n}.png", "image/png", noise()) for n in range(5)))
    page.wait_for_function("() => document.querySelector('#queue progress').value % 1 > 0")
    page.wait_for_timeout(1500)
    page.reload()
    line.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    expect(page.locator("#queue p")).to_contain_text("All done", timeout=60_000)
    services.wait_for(lambda: len(call(empty, "/api/images")["images"]) == 5, subject="five images")
    assert len(bucket.pictures()) == 5
    assert len({image["name"] for image in call(empty, "/api/images")["images"]}) == 5
    context.close()


def test_a_store_that_lets_no_page_in_is_gone_round(
    empty: Server, bucket: Bucket, browser: Browser
) -> None:
    """Without a rule for its origin the page says so, once, and sends by the server; nothing is
    lost or doubled.
    """
    context = context_of(browser)
    page = context.new_page()
    bucket.allow("https://another.example")  # with no rule at all, SeaweedFS allows everybody
    try:
        page.goto(empty.url)
        chosen(page, *((f"{n}.png", "image/png", pictures.png()) for n in range(6)))
        expect(page.locator(".toast")).to_have_text(
            "The store cannot be reached from this browser. Your pictures go through the server"
            " instead."
        )
        expect(page.locator("#queue p")).to_have_text(
            "All done: 6 of 6 sent, 6 read", timeout=60_000
        )
        assert page.locator(".toast").count() <= 1
        assert len(call(empty, "/api/images")["images"]) == len(bucket.pictures()) == 6
    finally:
        bucket.allow(empty.url)
        context.close()


def test_a_page_may_send_to_its_bucket_alone(
    served: Server, server: Server, seaweedfs: services.S3Server, browser: Browser
) -> None:
    """The page's policy names the bucket beside itself; that of a server over a folder names
    nothing.
    """
    context = context_of(browser)
    with_bucket, with_folder = (
        context.request.get(entry.url).headers["content-security-policy"]
        for entry in (served, server)
    )
    assert with_bucket.endswith(f"; connect-src 'self' {seaweedfs.endpoint}/{BUCKET}/")
    assert "connect-src" not in with_folder
    context.close()
