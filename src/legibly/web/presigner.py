"""Signs uploads directly into an S3 store, and names the origin that browsers need."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from legibly import errors
from legibly.ingest import s3_documents
from legibly.store import Store


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed request for one use; `headers` must be sent unchanged."""

    url: str
    headers: Mapping[str, str]


class Presigner:
    """Signs PUTs into one S3 store.

    With boto3 the signature covers key, media type, number of bytes, and that the key is unused.
    Without it, it only covers the key: a sender who leaves out `If-None-Match` may then overwrite
    their own upload while the URL is valid.
    """

    def __init__(self, store: Store, *, environ: Mapping[str, str]) -> None:
        self._store = store
        self._bucket, self._prefix = s3_documents.place(store.url)
        self._region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        named = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
        self._endpoint = (named or f"https://s3.{self._region}.amazonaws.com").rstrip("/")

    @property
    def origin(self) -> str:
        """The origin of signed URLs, as a source of a Content Security Policy: only this bucket."""
        return f"{self._endpoint}/{self._bucket}/"

    def put(self, key: str, *, media_type: str, size: int, seconds: int) -> Signed:
        """Sign a PUT of `size` bytes to an unused key. Raises Forbidden, Unavailable."""
        headers = {"Content-Type": media_type, "If-None-Match": "*"}
        if importlib.util.find_spec("boto3") is None:
            return Signed(self._store.sign("PUT", key, seconds=seconds), headers)
        from botocore import exceptions

        fixed = {"ContentType": media_type, "IfNoneMatch": "*", "ContentLength": size}
        place = {"Bucket": self._bucket, "Key": f"{self._prefix}/{key}".lstrip("/")}
        try:
            url = self._client.generate_presigned_url(
                "put_object", Params={**place, **fixed}, ExpiresIn=seconds
            )
        except exceptions.BotoCoreError as error:
            remedy = "Check the credentials (`legibly doctor`)."
            raise errors.Forbidden(
                "uploads cannot be signed: {error}.",
                where=self._store.url,
                remedy=remedy,
                error=str(error),
            ) from error
        return Signed(str(url), headers)

    @cached_property
    def _client(self) -> Any:
        import boto3  # an extra, and slow to import
        from botocore.config import Config

        # The bucket in the path, as everywhere here: it needs no wildcard name, and the policy can
        # name the bucket.
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
        )
        return boto3.Session().client(
            "s3", region_name=self._region, endpoint_url=self._endpoint, config=config
        )
