"""ID tokens that a provider, or somebody who plays one, might send: which are believed."""

import base64
import concurrent.futures
import contextlib
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from legibly import errors
from legibly.people.oidc import SKEW_SECONDS, Provider

KEY, OTHER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
CURVE = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def described(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, name: str | None
) -> dict[str, Any]:
    """The public half of a key as a provider publishes it."""
    kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    matches = dict(json.loads(kind.to_jwk(key.public_key())))  # type: ignore[arg-type]
    return matches | ({"kid": name} if name else {})


@dataclass
class Played:
    """A provider that answers whatever a test wants."""

    issuer: str
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def person(self, token: str, **metadata: Any) -> Any:
        """Whom a client takes this token for."""
        message = {
            name: f"{self.issuer}/{name}"
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
        }
        known = {"issuer": self.issuer, **message, **metadata}
        self.answers.setdefault("/.well-known/openid-configuration", (200, known))
        self.answers.setdefault("/jwks_uri", (200, {"keys": [described(KEY, "one")]}))
        self.answers["/token_endpoint"] = (200, {"id_token": token, "access_token": "a"})
        client = Provider(issuer=self.issuer, client_id="legibly", client_secret="s+ &")
        return client.person(
            "code", issuer=None, nonce="n", verifier="v", redirect_uri="http://here/back"
        )


@pytest.fixture
def played() -> Iterator[Played]:
    """It listens on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            provider.requests.append(
                (
                    self.path,
                    self.headers.get("Authorization", "") + self.rfile.read(length).decode(),
                )
            )
            status, answer = provider.answers.get(self.path, (404, {}))
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Played(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield provider
    server.shutdown()
    server.server_close()


def claims(played: Played, **others: Any) -> dict[str, Any]:
    """What stands in a right token, and what a test puts in its place; None leaves a claim out."""
    now = int(time.time())
    right = {
        "iss": played.issuer,
        "sub": "42",
        "aud": "legibly",
        "iat": now,
        "exp": now + 60,
        "nonce": "n",
    }
    person = {"name": "Ada", "email": "ada@school.example", "email_verified": True}
    return {
        name: value for name, value in {**right, **person, **others}.items() if value is not None
    }


def signed(
    body: dict[str, Any], key: Any = KEY, algorithm: str = "RS256", kid: str | None = "one"
) -> str:
    """A token."""
    return jwt.encode(body, key, algorithm, headers={"kid": kid} if kid else None)


def test_a_right_token_names_a_person(played: Played) -> None:
    """Issuer and subject are who it is; secret and code go to the token endpoint alone, encoded as
    RFC 6749 wants.
    """
    person = played.person(signed(claims(played)))
    assert (person.identity, person.name, person.email) == (
        f"{played.issuer} 42",
        "Ada",
        "ada@school.example",
    )
    statement = dict(played.requests)["/token_endpoint"]
    assert base64.b64encode(b"legibly:s%2B%20%26").decode() in statement
    assert "code_verifier=v" in statement
    assert [path for path, text in played.requests if "Basic" in text] == ["/token_endpoint"]
    unverified = played.person(signed(claims(played, email_verified=None, name=None)))
    assert (unverified.name, unverified.email) == ("ada", None)


@pytest.mark.parametrize(
    "others",
    [
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": ["legibly", "another"]},
        {"aud": ["legibly", "another"], "azp": "another"},
        {"azp": "another"},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"exp": int(time.time()) - SKEW_SECONDS - 5},
        {"exp": None},
        {"iat": int(time.time()) + 86_400},
        {"nbf": int(time.time()) + 86_400},
        {"sub": None},
        {"sub": ""},
    ],
    ids=lambda others: " ".join(others),  # values that hang on the clock differ between workers
)
def test_tokens_that_say_something_else_are_not_believed(
    played: Played, others: dict[str, Any]
) -> None:
    """Another issuer, audience or sign-in, a time that is over or to come, no subject."""
    with pytest.raises(errors.Forbidden):
        played.person(signed(claims(played, **others)))


def test_clocks_may_differ_a_little(played: Played) -> None:
    """A token that is over by less than the allowed difference, or from as much in the future, is
    right.
    """
    almost = SKEW_SECONDS - 20
    assert played.person(signed(claims(played, exp=int(time.time()) - almost))).name == "Ada"
    assert played.person(signed(claims(played, iat=int(time.time()) + almost))).name == "Ada"


def test_only_the_providers_keys_sign(played: Played) -> None:
    """No signature, another key's, one by the public key as if it were a secret, and things that
    are no tokens: no.
    """
    body = claims(played)
    encoded = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "none"}, body)
    ]
    right = signed(body)
    header, payload, signature = right.split(".")
    other = (
        base64.urlsafe_b64encode(json.dumps({**body, "sub": "1"}).encode()).rstrip(b"=").decode()
    )
    confused = (
        base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "one"}).encode())
        .rstrip(b"=")
        .decode()
    )
    mac = base64.urlsafe_b64encode(
        hmac.digest(PUBLIC, f"{confused}.{payload}".encode(), hashlib.sha256)
    ).rstrip(b"=")
    forged = (
        ".".join([*encoded, ""]),
        signed(body, OTHER),
        f"{header}.{other}.{signature}",
        right[:-8],
        "",
        "a.b.c",
    )
    for token in (*forged, f"{confused}.{payload}.{mac.decode()}"):
        with pytest.raises(errors.Forbidden):
            played.person(token)


def test_keys_are_found_whatever_they_are_called(played: Played) -> None:
    """Without a name every key is tried; elliptic curves sign too; keys for encryption and of
    others' kinds do not.
    """
    keys = [
        {"kty": "oct", "k": "c2VjcmV0"},
        described(OTHER, None) | {"use": "enc"},
        described(CURVE, "c"),
        described(KEY, None),
    ]
    played.answers["/jwks_uri"] = (200, {"keys": keys})
    assert played.person(signed(claims(played), kid=None)).name == "Ada"
    assert played.person(signed(claims(played), CURVE, "ES256", "c")).name == "Ada"
    with pytest.raises(errors.Forbidden):
        played.person(signed(claims(played), OTHER, kid=None))


def test_what_is_told_beside_the_token_is_of_the_same_person(played: Played) -> None:
    """The name may come from the userinfo endpoint, unless that tells of somebody else."""
    token = signed(claims(played, name=None, email=None, email_verified=None))
    message = {"userinfo_endpoint": f"{played.issuer}/userinfo"}
    played.answers["/userinfo"] = (
        200,
        {"sub": "42", "name": "Ada", "email": "a@b.example", "email_verified": "true"},
    )
    assert played.person(token, **message).email == "a@b.example"
    played.answers["/userinfo"] = (200, {"sub": "1", "name": "Eve"})
    with pytest.raises(errors.Forbidden):
        played.person(token, **message)


@pytest.mark.parametrize(
    ("path", "status", "answer"),
    [
        ("/.well-known/openid-configuration", 200, {"issuer": "https://evil.example"}),
        ("/.well-known/openid-configuration", 200, b"<html>"),
        ("/.well-known/openid-configuration", 302, {}),
        ("/.well-known/openid-configuration", 500, {}),
        ("/jwks_uri", 503, {}),
        ("/jwks_uri", 200, [1]),
    ],
)
def test_a_provider_that_is_none_is_away(
    played: Played, path: str, status: int, answer: Any
) -> None:
    """Another's metadata, pages, redirects and faults: try again later, and nobody is signed in."""
    played.answers[path] = (status, answer)
    with pytest.raises(errors.Unavailable):
        played.person(signed(claims(played)))


@pytest.mark.parametrize(
    "address",
    ["http://login.example", "ftp://localhost/", "file:///etc/passwd", "login.example", ""],
)
def test_addresses_that_others_could_read_are_refused(played: Played, address: str) -> None:
    """Only https, or http on this machine: for the issuer and for what its metadata name."""
    with pytest.raises(errors.Invalid, match="https"):
        Provider(issuer=address, client_id="legibly")
    with pytest.raises(errors.Invalid, match="https"):
        played.person(signed(claims(played)), jwks_uri=address)


@contextlib.contextmanager
def slow_provider(answer: bytes) -> Iterator[tuple[str, list[socket.socket]]]:
    """A provider that takes connections and sends `answer`, a byte every 50 ms, without an end;
    its issuer and its connections.
    """
    connections: list[socket.socket] = []

    def drip(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for number in range(len(answer) * 1000 if answer else 0):
                connection.sendall(answer[number : number + 1] or b"x")
                time.sleep(0.05)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connections.append(listener.accept()[0])
                threading.Thread(target=drip, args=connections[-1:], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", connections
        listener.shutdown(socket.SHUT_RDWR)
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\n\r\n{"])
def test_a_provider_that_never_answers_holds_up_few(answer: bytes) -> None:
    """Forty-five sign-ins at a provider that says nothing, or a byte now and then without an end:
    each ends soon with an error that says so, and the provider is asked by few of them.
    """
    with slow_provider(answer) as (issuer, connections):
        client = Provider(issuer=issuer, client_id="legibly", timeout_seconds=0.5)

        def leave(_number: int) -> float:
            began = time.monotonic()
            with pytest.raises(errors.Unavailable, match=r"does not answer|no JSON"):
                client.authorization_url(state="s", nonce="n", verifier="v", redirect_uri="r")
            return time.monotonic() - began

        with concurrent.futures.ThreadPoolExecutor(45) as pool:
            longest = max(pool.map(leave, range(45)))
    assert longest < 5
    assert len(connections) <= 4
