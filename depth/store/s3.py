"""A store in an S3 bucket. The only module that imports boto3; it is loaded on use."""

from __future__ import annotations

import logging
import os
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from mmap import mmap
from typing import Any, BinaryIO, Optional

from boto3.s3.transfer import TransferConfig
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    LoginError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection
from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError

from depth.console import without_user
from depth.errors import DepthAnythingError, InputError, StoreError, TooLargeError, first_line
from depth.files import sha256_bytes
from depth.store.objects import Listed, OnBytes, Versioned

PART_BYTES = 16 << 20  # larger objects travel in parts; S3 takes parts of 5 MiB to 5 GiB
_BUSY_ATTEMPTS = 5
_CONNECT_TIMEOUT_S = 10

_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
)
_LOGIN = (LoginError, SSOError, TokenRetrievalError)
_ADVICE = {
    "NoSuchBucket": "there is no such bucket; create it, or correct --store",
    "InvalidBucketName": "this is not a bucket's name; correct --store",
    "InvalidAccessKeyId": "the access key is unknown; check AWS_PROFILE and AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key is wrong; check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the credentials have expired; log in again",
    "InvalidToken": "the session token is wrong; check AWS_SESSION_TOKEN or log in again",
    "NoSuchUpload": "the upload was aborted from elsewhere; push again",
    "PermanentRedirect": "the bucket is in another region; set AWS_REGION",
    "AuthorizationHeaderMalformed": "the bucket is in another region; set AWS_REGION",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it",
}
_DENIED = {"AccessDenied", "403"}
# Odd credentials raise the last three: a token's file that is missing, a key with a line feed.
_FOREIGN = (BotoCoreError, ClientError, S3DownloadFailedError, OSError, ValueError, KeyError)
_LISTING = {"Name", "KeyCount", "IsTruncated", "Contents"}  # every listing has some of them
_NO_LISTING = "the answer is not a listing of S3, perhaps a web page; correct --endpoint-url"
_SIGNED = re.compile(r"AWS4-HMAC.*|\S*(Signature|Credential)=.*")


class S3Store:
    """Objects under one prefix of a bucket."""

    def __init__(
        self,
        bucket: str,
        prefix: str,
        endpoint_url: Optional[str] = None,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self.name = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._transfer = TransferConfig(
            multipart_threshold=part_bytes,
            multipart_chunksize=part_bytes,
            preferred_transfer_client="classic",
        )
        with self._translated():
            self.client = _client(endpoint_url)

    def read(self, key: str, max_bytes: int) -> Optional[Versioned]:
        with self._translated():
            try:
                found = self.client.get_object(**self._address(key))
            except self.client.exceptions.NoSuchKey:
                return None
            with closing(found["Body"]) as body:
                data = body.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise TooLargeError(f"{self.name}/{key}: over {max_bytes} bytes; refused")
        return Versioned(data, found["ETag"])

    def write(self, key: str, data: bytes) -> None:
        with self._translated():
            self._put(key, data)

    def write_if(self, key: str, data: bytes, tag: Optional[str]) -> bool:
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        for attempt in range(_BUSY_ATTEMPTS):
            with self._translated():
                try:
                    self._put(key, data, **condition)
                    return True
                except ClientError as error:
                    if _code(error) in ("PreconditionFailed", "NoSuchKey"):
                        return False
                    if _code(error) != "ConditionalRequestConflict":
                        raise
            time.sleep(0.1 * 2**attempt)  # another write is under way: S3 asks for a retry
        raise StoreError(f"{self.name}/{key}: others keep writing it; try again later")

    def upload(self, key: str, data: mmap, sha256: str, on_bytes: OnBytes) -> int:
        size_bytes = len(data)  # the client may close the mapping
        with self._translated():
            if self._has(key, size_bytes, sha256):
                on_bytes(size_bytes)
                return 0
            self.client.upload_fileobj(
                data,
                **self._address(key),
                ExtraArgs={"ChecksumAlgorithm": "SHA256"},  # of each request; AWS compares it
                Callback=on_bytes,
                Config=self._transfer,
            )
            if not self._has(key, size_bytes, sha256):
                raise StoreError(f"{self.name}/{key}: is not what was sent; push again")
        return size_bytes

    def download(self, key: str, file: BinaryIO, size_bytes: int, on_bytes: OnBytes) -> None:
        with self._translated():
            head = self._head(key)
        if head is None:
            raise StoreError(f"{self.name}/{key}: missing; push the artifact again")
        if head["ContentLength"] == size_bytes:
            with self._translated(local=(OSError,)):  # of the file
                self.client.download_fileobj(
                    **self._address(key), Fileobj=file, Callback=on_bytes, Config=self._transfer
                )

    def listed(self, prefix: str) -> Iterator[Listed]:
        with self._translated():
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                if not _LISTING & page.keys():
                    raise StoreError(f"{self.name}: {_NO_LISTING}")
                for found in page.get("Contents", ()):
                    yield Listed(found["Key"][len(self._prefix) :], found["LastModified"])

    def close(self) -> None:
        self.client.close()

    def _address(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _put(self, key: str, data: bytes, **condition: str) -> None:
        checksum = _base64(sha256_bytes(data))  # AWS refuses bytes with another checksum
        self.client.put_object(
            **self._address(key), Body=data, ChecksumSHA256=checksum, **condition
        )

    def _head(self, key: str) -> Optional[dict[str, Any]]:
        """Size and checksum of an object, or None."""
        try:
            head: dict[str, Any] = self.client.head_object(
                **self._address(key), ChecksumMode="ENABLED"
            )
            return head
        except ClientError as error:
            if _code(error) == "404":
                return None
            raise

    def _has(self, key: str, size_bytes: int, sha256: str) -> bool:
        """Whether the object has our size, and our checksum if the server keeps it for the whole.

        An object that was sent in parts (`-` in its ETag) has a checksum of its parts' checksums.
        """
        head = self._head(key)
        if head is None or head["ContentLength"] != size_bytes:
            return False
        kept = head.get("ChecksumSHA256")
        return kept is None or "-" in head["ETag"] or kept == _base64(sha256)

    @contextmanager
    def _translated(self, local: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        """Turn what the client raises into StoreError, but `local`: errors of the caller's file."""
        try:
            yield
        except DepthAnythingError:
            raise
        except local:
            raise
        except RetriesExceededError as error:
            raise StoreError(f"{self.name}: {_advice(error.last_exception)}") from error
        except _FOREIGN as error:
            raise StoreError(f"{self.name}: {_advice(error)}") from error


def open_location(location: str, endpoint_url: Optional[str]) -> S3Store:
    """The store at bucket/prefix."""
    bucket, _, prefix = location.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise InputError(f"store 's3://{location}': {bucket!r} is not a bucket's name")
    return S3Store(bucket, prefix.strip("/"), endpoint_url)


def _client(endpoint_url: Optional[str]) -> Any:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    elsewhere = endpoint_url or any(map(os.environ.get, names))
    logger = logging.getLogger("botocore")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)  # it logs tracebacks of what it raises as well
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        response_checksum_validation="when_required",  # every byte's hash is compared later
        # Few servers other than AWS have a host name per bucket.
        s3={"addressing_style": "path"} if elsewhere else None,
    )
    try:
        # boto3.client() would warn that Python 3.9 is old; Session does not.
        return Session().client("s3", endpoint_url=endpoint_url, config=config)
    except ValueError as error:  # boto3's error for an endpoint that is not a URL
        raise InputError(f"--endpoint-url: {_line(error)}") from error


def _line(error: Exception) -> str:
    """First line of an error of the client, without signatures and passwords."""
    return _SIGNED.sub("...", without_user(first_line(error)))


def _advice(error: Exception) -> str:
    if "Invalid header value" in str(error):
        return (
            "the access key or the session token holds a line feed or other white space; correct "
            "AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN or the credentials file"
        )
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}; the AWS settings name this file"
    if isinstance(error, _LOGIN):
        return f"no credentials ({_line(error)}); log in again: aws sso login"
    if isinstance(error, _NO_CREDENTIALS):
        return (
            f"no credentials ({_line(error)}); set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or run where a role gives them"
        )
    if isinstance(error, NoConnection):
        return f"cannot be reached ({_line(error)}); check --endpoint-url, AWS_REGION, network"
    if isinstance(error, (HTTPClientError, IncompleteReadError)):
        return f"the connection broke off ({_line(error)}); run the command again"
    if isinstance(error, ClientError) and _code(error) in _DENIED:
        return (
            f"{error.operation_name} was denied; the role or user needs s3:ListBucket, "
            "s3:GetObject, and to write s3:PutObject and s3:AbortMultipartUpload"
        )
    if isinstance(error, ClientError) and _code(error) in _ADVICE:
        return _ADVICE[_code(error)]
    return _line(error)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _base64(sha256: str) -> str:
    return b64encode(bytes.fromhex(sha256)).decode()
