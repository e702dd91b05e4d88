"""What the audit of 2026-11-25 found in the web side, each as a test that failed then."""

import concurrent.futures
import contextlib
import gzip
import json
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial

import httpx
import numpy as np
import pytest

import pictures
from legibly.web.security.rate_limits import SignInLimits
from server import Server

PASSWORD = "a long enough word 4"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with accounts, and a small limit of bytes."""
    folder = tmp_path_factory.mktemp("hard")
    environ = {
        "LEGIBLY_ACCOUNTS": "on",
        "LEGIBLY_ADMIN_PASSWORD": PASSWORD,
        "LEGIBLY_MAX_BYTES": "2000000",
        "LEGIBLY_PUBLIC_URL": "http://legibly.example",
    }
    with Server.started(folder, **environ) as started:
        yield started


@contextlib.contextmanager
def sign_in(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        form = {"name": "admin", "password": PASSWORD}
        assert client.post("/login", data=form).status_code == 303
        yield client


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[httpx.Client]:
    """The administrator, signed in."""
    with sign_in(server) as client:
        yield client


def test_a_large_body_is_answered_also_to_clients_that_send_it_first(
    server: Server, admin: httpx.Client
) -> None:
    """urllib, which reads nothing before it has sent all, gets the 413 that names the limit."""
    cookies = "; ".join(f"{name}={value}" for name, value in admin.cookies.items())
    headers = {"Content-Type": "image/png", "Cookie": cookies}
    request = urllib.request.Request(f"{server.url}/api/images", b"x" * 2_200_001, headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    with caught.value as answer:
        problem = json.load(answer)
    assert (problem["status"], problem["code"]) == (413, "too-large")
    assert problem["params"]["limit"] == 2_100_000
    chunks = (b"x" * 100_000 for _ in range(25))
    streamed = admin.post("/api/images", content=chunks, headers={"Content-Type": "image/png"})
    assert (streamed.status_code, streamed.json()["code"]) == (413, "too-large")


def test_the_live_stream_ends_with_the_session(server: Server, admin: httpx.Client) -> None:
    """After signing out a stream that is open delivers nothing more, and ends."""
    with sign_in(server) as other, other.stream("GET", "/api/live") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry")
        cookies = dict(other.cookies)
        httpx.post(f"{server.url}/logout", cookies=cookies)
        image = admin.post("/api/images?wait=20", files={"file": pictures.png()}).json()["id"]
        assert image not in "".join(lines)


def test_healthz_needs_nobody_and_nothing(server: Server) -> None:
    """Liveness answers any host name, GET and HEAD, also while password checks queue up."""
    answer = httpx.get(f"{server.url}/healthz", headers={"Host": "evil.example"})
    assert answer.json() == {"status": "alive"}
    assert httpx.head(f"{server.url}/healthz").status_code == 200
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        post = partial(httpx.post, data={"name": "nobody", "password": "wrong wrong"}, timeout=90)
        tries = [pool.submit(post, f"{server.url}/login") for _ in range(20)]
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert {future.result().status_code for future in tries} <= {401, 429, 503}


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/login", "legibly.example", 200),
        ("/login", "127.0.0.1:80", 200),
        ("/login", "evil.example", 403),
        ("/healthz", "10.0.0.7", 200),
    ],
)
def test_only_the_public_address_is_answered(
    server: Server, path: str, host: str, status: int
) -> None:
    """With accounts too, where the server knows its address, a request to another name is refused:
    links and the way back from an OpenID provider are made of it. A balancer's look is answered.
    """
    assert httpx.get(server.url + path, headers={"Host": host}).status_code == status


def test_readiness_tells_strangers_no_counts(server: Server, admin: httpx.Client) -> None:
    """Where there are accounts, `/readyz` says that and with which model, not how many images."""
    admin.post("/api/images?wait=20", files={"file": pictures.png()})
    answer = httpx.get(f"{server.url}/readyz").json()
    assert (answer["status"], answer["images"]) == ("ready", {})


def test_what_the_store_holds_is_for_this_user_alone(server: Server) -> None:
    """No other account of the machine reads the store, the key of sessions or the index."""
    data = server.folder / "legibly-data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "index.db").stat().st_mode) & 0o077 == 0


def test_api_answers_are_not_cached_and_head_is_get_without_a_body(admin: httpx.Client) -> None:
    """Answers for one person do not stay in caches; HEAD tells the length."""
    answer = admin.get("/api/images")
    assert answer.headers["cache-control"] == "no-store"
    head = admin.head("/api/images")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/images/ffffffff-ffff-7fff-bfff-ffffffffffff", 404),
        ("GET", "/images/ffffffff-ffff-7fff-bfff-ffffffffffff", 404),
        ("GET", "/api/images?writer=%00", 400),
        ("GET", "/api/images?limit=" + "9" * 400, 400),
        ("GET", "/api/images/x/items/" + "9" * 400 + "/input.png", 404),
    ],
)
def test_odd_addresses_are_the_fault_of_the_request(
    admin: httpx.Client, method: str, path: str, status: int
) -> None:
    """Ids of the far future, NUL and endless numbers are refused, never a fault of ours."""
    answer = admin.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_last_event_id_beyond_every_number_is_ignored(admin: httpx.Client) -> None:
    """A stream begins now when the number that it should go on from cannot be."""
    for last in ("9" * 19, "9" * 5000):
        with admin.stream("GET", "/api/live", headers={"Last-Event-ID": last}) as stream:
            assert stream.status_code == 200
            assert next(stream.iter_lines()).startswith("retry")


def test_names_and_writers_have_a_length(admin: httpx.Client) -> None:
    """A writer of a megabyte is refused; the name of a file is cut, its end kept."""
    files = {"file": ("x" * 300 + ".png", pictures.png())}
    refused = admin.post("/api/images", files=files, data={"writer": "w" * 201})
    assert (refused.status_code, refused.json()["code"]) == (400, "text-too-long")
    name = admin.post("/api/images", files=files).json()["name"]
    assert len(name) == 200
    assert name.endswith(".png")


def test_the_password_form_cannot_be_used_to_guess(admin: httpx.Client) -> None:
    """Wrong passwords are counted and audited, for changing it and for erasing the account."""
    wrong = {"old": "wrong wrong", "new": "another long word 5"}
    erase = {"password": "no"}
    for path, form in (("/account/password", wrong), ("/account/erase", erase)):
        statuses = [admin.post(path, data=form).status_code for _ in range(12)]
        assert statuses[:5] == [403] * 5
        assert 429 in statuses
    assert "password refused" in admin.get("/people").text


def test_signing_in_is_limited_by_name_and_network() -> None:
    """Blanks and case make no other name; strangers elsewhere do not lock the owner out."""
    limits = SignInLimits()
    waits = [limits.take("1.2.3.4", name) for name in ("ann", " Ann", "ANN ", "ann", "a\u006en")]
    assert not any(waits)
    assert limits.take("1.2.3.4", "  ann") > 0
    assert limits.take("5.6.7.8", "ann") == 0


class TestInference:
    """Open Inference clients that send no content type, bytes and compressed bodies."""

    crops = np.random.default_rng(3).random((2, 1, 28, 28)).astype("<f4")

    def body(self, **parameters: object) -> tuple[bytes, int]:
        """A request as Triton's client sends it."""
        data = self.crops.tobytes()
        tensor = {
            "name": "crops",
            "datatype": "FP32",
            "shape": [2, 1, 28, 28],
            "parameters": {"binary_data_size": len(data)},
        }
        header = json.dumps({"inputs": [tensor], "parameters": parameters}).encode()
        return header + data, len(header)

    @pytest.mark.parametrize("compressed", [False, True])
    def test_bytes_and_compression(self, admin: httpx.Client, *, compressed: bool) -> None:
        """Binary tensors in and out, plain and gzipped, give the logits of the JSON form."""
        body, length = self.body(binary_data_output=True)
        headers = {"Inference-Header-Content-Length": str(length)}
        if compressed:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        request = admin.build_request("POST", "/v2/models/digits/infer", headers=headers)
        request = httpx.Request("POST", request.url, content=body, headers=request.headers)
        request.headers["Content-Length"] = str(len(body))
        answer = admin.send(request)
        assert answer.status_code == 200, answer.text
        cut = int(answer.headers["inference-header-content-length"])
        logits = np.frombuffer(answer.content[cut:], "<f4").reshape(2, -1)
        tensor = {
            "name": "crops",
            "datatype": "FP32",
            "shape": [2, 1, 28, 28],
            "data": self.crops.tolist(),
        }
        plain = admin.post("/v2/models/digits/infer", json={"inputs": [tensor]}).json()
        assert np.allclose(logits.ravel(), plain["outputs"][0]["data"], atol=1e-5)

    @pytest.mark.parametrize("value", [3e38, 10**400], ids=["large", "endless"])
    def test_values_beyond_all_numbers(self, admin: httpx.Client, value: float) -> None:
        """What overflows is refused, in the protocol's form of an error."""
        tensor = {
            "name": "crops",
            "datatype": "FP32",
            "shape": [1, 1, 28, 28],
            "data": [value] * 784,
        }
        answer = admin.post("/v2/models/digits/infer", json={"inputs": [tensor]})
        assert answer.status_code in (400, 422)
        assert answer.json()["error"] == answer.json()["detail"]

    def test_a_gzip_bomb_is_refused(self, admin: httpx.Client) -> None:
        """A small body that unpacks to more than the limit is not unpacked to its end."""
        bomb = gzip.compress(b" " * 50_000_000)
        headers = {"Content-Encoding": "gzip"}
        answer = admin.post("/v2/models/digits/infer", content=bomb, headers=headers)
        assert answer.status_code == 413
