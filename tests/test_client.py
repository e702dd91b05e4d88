"""The Python client against the real server."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import pictures
from legibly import errors
from legibly.client import Client
from server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`legibly serve` over an empty folder."""
    with Server.started(tmp_path_factory.mktemp("client")) as started:
        yield started


def test_a_script_reads_labels_lists_and_deletes(server: Server, tmp_path: Path) -> None:
    """The whole loop with typed results, from bytes and from a file with an odd name."""
    path = tmp_path / 'seven "ü" +.png'
    path.write_bytes(pictures.png())
    with Client(server.url) as legibly:
        image = legibly.read(path, writer="ben")
        assert image.reading is not None
        assert image.reading.items[0].box[2] > 0
        assert (image.writer, image.name) == ("ben", "seven %22ü%22 +.png")
        assert legibly.original(image.id) == path.read_bytes()
        labelled = legibly.label(image.id, "7")
        assert labelled.label is not None
        assert labelled.label.text == "7"
        other = legibly.read(path.read_bytes(), label="1")
        assert [matches.id for matches in legibly.images()] == [other.id, image.id]
        assert legibly.accuracy()["pairs"] == 2
        assert legibly.legibility("ben")["written"] <= 1
        legibly.delete(other.id)
        assert [matches.id for matches in legibly.images(writer="ben")] == [image.id]
        with pytest.raises(errors.NotFound):
            legibly.image(other.id)
        with pytest.raises(errors.NotAnImage, match="picture"):
            legibly.read(b"hello")


class _Busy(BaseHTTPRequestHandler):
    """Says 503 twice, then answers."""

    pauses = 0

    def do_GET(self) -> None:
        type(self).pauses += 1
        self.send_response(200 if self.pauses > 2 else 503)
        if self.pauses <= 2:
            self.send_header("Retry-After", "3")
        self.end_headers()
        self.wfile.write(b'{"pairs": 0}' if self.pauses > 2 else b"<html>")

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_busy_servers_are_asked_again_as_they_wish() -> None:
    """503 with Retry-After is waited for; a server that is away is named in the end."""
    busy = HTTPServer(("127.0.0.1", 0), _Busy)
    thread = threading.Thread(target=busy.serve_forever)
    thread.start()
    pauses: list[float] = []
    url = f"http://127.0.0.1:{busy.server_port}"
    try:
        assert Client(url, sleep=pauses.append).accuracy() == {"pairs": 0}
    finally:
        busy.shutdown()
        thread.join()
        busy.server_close()
    assert pauses == [3.0, 3.0]
    with pytest.raises(errors.Unavailable, match="cannot be reached"):
        Client(url, tries=2, sleep=pauses.append).accuracy()
    with pytest.raises(errors.Invalid):
        Client("file:///etc/passwd")


def test_each_page_of_a_file_is_an_image(server: Server) -> None:
    """`read_pages` returns them; `read` says that there is more than one picture."""
    data = pictures.pages("PDF", [pictures.SEVEN, pictures.ZERO])
    with Client(server.url) as legibly:
        images = legibly.read_pages(data, name="scan.pdf")
        assert [image.reading and image.reading.text for image in images] == ["7", "0"]
        assert [image.name for image in images] == ["scan.pdf p. 1", "scan.pdf p. 2"]
        assert len(legibly.read_pages(pictures.png())) == 1
        with pytest.raises(errors.Invalid, match="read_pages"):
            legibly.read(data)
