"""Signing in through an OpenID Connect provider.

Authorization code with PKCE, `state` and `nonce`. Sources: OpenID Connect Core and Discovery 1.0,
RFC 7636, RFC 9207.
"""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jwt

from legibly.errors import Forbidden, Invalid, Unavailable
from legibly.people.provider_http import ProviderHttp

SKEW_SECONDS = 60
"""Largest difference between the provider's clock and ours."""
_TIMEOUT_SECONDS = 10.0
_LOCK_SECONDS = 1.0
_METADATA_SECONDS = 3600.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Signatures with asymmetric keys, of which only the public part is known here.
_SIZES = ("256", "384", "512")
_ALGORITHMS = (*(f"{kind}{size}" for kind in ("RS", "PS", "ES") for size in _SIZES), "EdDSA")
_REQUIRED = ("iss", "sub", "aud", "exp", "iat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person identified by a provider: `identity` is issuer and subject, `email` None unless the
    provider verified it.
    """

    identity: str
    name: str
    email: str | None


class Provider:
    """A client of an OpenID provider; thread-safe.

    Its methods raise Unavailable if the provider does not answer, Invalid for a used or expired
    code, and Forbidden for an answer that cannot be trusted.
    """

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str = "",
        name: str = "",
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        _check_address(issuer)
        self.name = name or urlsplit(issuer).netloc
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._metadata_until = 0.0
        self._http = ProviderHttp(seconds=timeout_seconds)
        self._keys: list[dict[str, Any]] = []

    def authorization_url(self, *, state: str, nonce: str, verifier: str, redirect_uri: str) -> str:
        """The address that returns a browser to `redirect_uri` with `state` and a code."""
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid profile email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return _with(self._endpoint("authorization_endpoint"), query)

    def logout_url(self, *, redirect_uri: str) -> str | None:
        """The address for signing out at the provider too; None if it has none."""
        if "end_session_endpoint" not in self._discovered():
            return None
        query = {"client_id": self._client_id, "post_logout_redirect_uri": redirect_uri}
        return _with(self._endpoint("end_session_endpoint"), query)

    def person(
        self, code: str, *, issuer: str | None, nonce: str, verifier: str, redirect_uri: str
    ) -> Person:
        """The person who came back with this code; `issuer` is that of the address, if any."""
        if issuer is not None and issuer != self._issuer:
            raise Forbidden("the answer is another provider's.", where=self._issuer)
        tokens = self._exchange(code, verifier=verifier, redirect_uri=redirect_uri)
        claims = self._verified(str(tokens.get("id_token") or ""), nonce=nonce)
        if not {"name", "email"} <= set(claims):
            claims = {**self._user_info(tokens, subject=claims["sub"]), **claims}
        email = str(claims.get("email") or "")
        verified = claims.get("email_verified") in (True, "true")
        name = claims.get("name") or claims.get("preferred_username") or email.partition("@")[0]
        return Person(
            identity=f"{self._issuer} {claims['sub']}",
            name=str(name),
            email=email if verified else None,
        )

    def _exchange(self, code: str, *, verifier: str, redirect_uri: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        methods = self._discovered().get("token_endpoint_auth_methods_supported") or [
            "client_secret_basic"
        ]
        if not self._client_secret:
            form["client_id"] = self._client_id
        elif "client_secret_basic" in methods:
            pair = f"{quote(self._client_id, safe='')}:{quote(self._client_secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self._client_id, "client_secret": self._client_secret}
        status, answer = self._http.fetch(
            self._endpoint("token_endpoint"), form=form, headers=headers
        )
        if status == 400 and answer.get("error") == "invalid_grant":
            raise Invalid("the code is too old, or was used before.", where=self._issuer)
        if status != 200:
            raise Unavailable(
                "the provider refuses this server: {status} {error}.",
                status=status,
                error=answer.get("error"),
                where=self._issuer,
            )
        return answer

    def _user_info(self, tokens: Mapping[str, Any], *, subject: str) -> dict[str, Any]:
        """The claims of the provider's userinfo endpoint, if it has one."""
        if "userinfo_endpoint" not in self._discovered() or not tokens.get("access_token"):
            return {}
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        status, answer = self._http.fetch(self._endpoint("userinfo_endpoint"), headers=headers)
        if status != 200:
            raise Unavailable("the provider answers {status}.", where=self._issuer, status=status)
        if answer.get("sub") != subject:
            raise Forbidden("the provider tells of somebody else.", where=self._issuer)
        return answer

    def _verified(self, token: str, *, nonce: str) -> dict[str, Any]:
        try:
            claims = self._decoded(token)
        except jwt.PyJWTError as error:
            raise Forbidden(
                "the ID token is not valid: {error}.", where=self._issuer, error=str(error)
            ) from error
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if claims.get("azp", self._client_id if len(audience) == 1 else None) != self._client_id:
            raise Forbidden("the ID token is for another program.", where=self._issuer)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise Forbidden("the ID token is of another sign-in.", where=self._issuer)
        if not claims["sub"]:
            raise Forbidden("the ID token has no subject.", where=self._issuer)
        return claims

    def _decoded(self, token: str) -> dict[str, Any]:
        """The claims of a token signed by the provider; fetches its keys again if none matches."""
        header = jwt.get_unverified_header(token)
        failure: jwt.PyJWTError = jwt.InvalidSignatureError("no key of the provider fits")
        for refresh in (False, True):
            for key in self._matching_keys(header, refresh=refresh):
                try:
                    return jwt.decode(
                        token,
                        key,
                        algorithms=_ALGORITHMS,
                        audience=self._client_id,
                        issuer=self._issuer,
                        leeway=SKEW_SECONDS,
                        options={"require": list(_REQUIRED)},
                    )
                except jwt.InvalidSignatureError as error:
                    failure = error
        raise failure

    def _matching_keys(self, header: Mapping[str, Any], *, refresh: bool) -> list[jwt.PyJWK]:
        algorithm = header.get("alg")
        name = header.get("kid")
        if algorithm not in _ALGORITHMS:
            raise jwt.InvalidAlgorithmError(f"it is signed by {algorithm}")
        if refresh or not self._keys:
            matches = self._http.fetch(self._endpoint("jwks_uri"))[1].get("keys")
            entries = matches if isinstance(matches, list) else []
            self._keys = [key for key in entries if isinstance(key, dict)]
        fitting = []
        for key in self._keys:
            is_public = key.get("use", "sig") == "sig" and key.get("kty") != "oct"
            if is_public and name in (None, key.get("kid")):
                try:
                    fitting.append(jwt.PyJWK(key, algorithm))
                except jwt.PyJWTError:  # a type of key that does not make this signature
                    continue
        return fitting

    def _endpoint(self, name: str) -> str:
        address = self._discovered().get(name)
        if not isinstance(address, str):
            raise Unavailable("the provider names no {name}.", where=self._issuer, name=name)
        return _check_address(address)

    def _discovered(self) -> dict[str, Any]:
        # One thread waits for a provider that does not answer; the others fail at once.
        if not self._lock.acquire(timeout=_LOCK_SECONDS):
            raise Unavailable("the provider does not answer.", where=self._issuer)
        try:
            if time.monotonic() >= self._metadata_until:
                self._metadata = self._discover()
                self._metadata_until = time.monotonic() + _METADATA_SECONDS
            return self._metadata
        finally:
            self._lock.release()

    def _discover(self) -> dict[str, Any]:
        address = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        status, metadata = self._http.fetch(address)
        if status != 200 or metadata.get("issuer") != self._issuer:
            raise Unavailable(
                "this is not what the provider calls itself, which is {issuer}.",
                where=self._issuer,
                remedy="Set LEGIBLY_OIDC_ISSUER to that.",
                issuer=metadata.get("issuer"),
            )
        return metadata


def _check_address(url: str) -> str:
    """Return the address if it is protected from eavesdropping. Raises Invalid."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return url
    raise Invalid(
        "an OpenID provider needs an https:// address.",
        where=url,
        remedy="http:// only on this machine.",
    )


def _with(address: str, query: Mapping[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"
