"""A store in an S3 bucket. The only module that imports boto3; it is loaded on use."""

from __future__ import annotations

import logging
import os
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property, partial
from mmap import mmap
from typing import Any, BinaryIO, Callable, Optional

from boto3.s3.transfer import TransferConfig
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import ClientError
from s3transfer.exceptions import RetriesExceededError

from depth.errors import DepthAnythingError, InputError, StoreError, TooLargeError
from depth.files import sha256_bytes
from depth.store.objects import Listed, OnBytes, Versioned
from depth.store.s3_errors import FOREIGN, advice, code, one_line

logger = logging.getLogger(__name__)

PART_BYTES = 16 << 20  # larger objects travel in parts; S3 takes parts of 5 MiB to 5 GiB
_PIECE_BYTES = 1 << 18
_BUSY_ATTEMPTS = 5
_CONNECTIONS = 64  # at most, for the threads of a job
_CONNECT_TIMEOUT_S = 10
_ANSWER_TIMEOUT_S = 10  # of silence; boto3 asks five times, unless the AWS settings say otherwise
_SENT_TIMEOUT_S = 60  # after the last byte of a part, which a slow line still carries

_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
_UNKNOWN_HEADER = {"InvalidArgument", "InvalidRequest", "NotImplemented", "400", "501"}
_LISTING = {"Name", "KeyCount", "IsTruncated", "Contents"}  # every listing has some of them
_NO_LISTING = "the answer is not a listing of S3, perhaps a web page; correct --endpoint-url"


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
        self._endpoint_url = endpoint_url
        self._takes_checksums = True  # until the server refuses their headers
        with self._translated():
            self.client = _client(endpoint_url, _ANSWER_TIMEOUT_S)

    @cached_property
    def sender(self) -> Any:
        """The client that sends programs."""
        return _client(self._endpoint_url, _SENT_TIMEOUT_S)

    def read(self, key: str, max_bytes: int) -> Optional[Versioned]:
        with self._translated():
            try:
                found = self.client.get_object(**self._address(key))
            except self.client.exceptions.NoSuchKey:
                return None
            data = bytearray()
            with closing(found["Body"]) as body:
                # In pieces: Python 3.9 makes room for as many bytes as a read may give.
                while len(data) <= max_bytes and (piece := body.read(_PIECE_BYTES)):
                    data += piece
        if len(data) > max_bytes:
            raise TooLargeError(f"{self.name}/{key}: over {max_bytes} bytes; refused")
        return Versioned(bytes(data), found["ETag"])

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
                    if code(error) in ("PreconditionFailed", "NoSuchKey"):
                        return False
                    if code(error) != "ConditionalRequestConflict":
                        raise
            time.sleep(0.1 * 2**attempt)  # another write is under way: S3 asks for a retry
        raise StoreError(f"{self.name}/{key}: others keep writing it; try again later")

    def upload(self, key: str, data: mmap, sha256: str, on_bytes: OnBytes) -> int:
        size_bytes = len(data)  # the client may close the mapping
        with self._translated():
            if self._has(key, size_bytes, sha256):
                on_bytes(size_bytes)
                return 0
            self._send(partial(self._upload, key, data, on_bytes))
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

    def listed(self, prefix: str, after: str = "", until: Optional[str] = None) -> Iterator[Listed]:
        place = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
        if after:
            place["StartAfter"] = self._prefix + after
        with self._translated():
            for page in self.client.get_paginator("list_objects_v2").paginate(**place):
                if not _LISTING & page.keys():
                    raise StoreError(f"{self.name}: {_NO_LISTING}")
                for found in page.get("Contents", ()):
                    key = found["Key"][len(self._prefix) :]
                    if until is not None and key > until:
                        return
                    yield Listed(key, found["LastModified"], found["Size"], found["ETag"])

    def remove(self, key: str) -> None:
        with self._translated():
            self.client.delete_object(**self._address(key))

    def close(self) -> None:
        for name in ("client", "sender"):
            if name in vars(self):
                vars(self)[name].close()

    def _address(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _put(self, key: str, data: bytes, **condition: str) -> None:
        def put(with_checksum: bool) -> None:
            # AWS refuses bytes with another checksum.
            checksum = {"ChecksumSHA256": _base64(sha256_bytes(data))} if with_checksum else {}
            self.client.put_object(**self._address(key), Body=data, **checksum, **condition)

        self._send(put)

    def _upload(self, key: str, data: mmap, on_bytes: OnBytes, with_checksum: bool) -> None:
        seen = 0

        def count(size_bytes: int) -> None:
            nonlocal seen
            seen += size_bytes
            on_bytes(size_bytes)

        data.seek(0)
        try:
            self.sender.upload_fileobj(
                _Unclosed(data),
                **self._address(key),
                # Of each request; AWS compares it.
                ExtraArgs={"ChecksumAlgorithm": "SHA256"} if with_checksum else None,
                Callback=count,
                Config=self._transfer,
            )
        except ClientError:
            on_bytes(-seen)
            raise

    def _send(self, request: Callable[[bool], None]) -> None:
        """Send a request with checksums, or without where the server refuses their headers.

        The log says so once. A pull compares the hash of every file in any case.
        """
        if self._takes_checksums:
            try:
                request(True)
                return
            except ClientError as error:
                if code(error) not in _UNKNOWN_HEADER:
                    raise
        request(False)
        if self._takes_checksums:
            self._takes_checksums = False
            logger.warning("%s: the server takes no checksums; sent without them", self.name)

    def _head(self, key: str) -> Optional[dict[str, Any]]:
        """Size and checksum of an object, or None."""
        try:
            mode = {"ChecksumMode": "ENABLED"} if self._takes_checksums else {}
            head: dict[str, Any] = self.client.head_object(**self._address(key), **mode)
            return head
        except ClientError as error:
            if code(error) == "404":
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
            raise StoreError(f"{self.name}: {advice(error.last_exception)}") from error
        except FOREIGN as error:
            raise StoreError(f"{self.name}: {advice(error)}") from error


class _Unclosed:
    """A mapped file that the client can read, and not close: it may have to be sent again."""

    def __init__(self, data: mmap) -> None:
        self.read, self.seek, self.tell = data.read, data.seek, data.tell

    def close(self) -> None:
        """Leave it open."""


def open_location(location: str, endpoint_url: Optional[str]) -> S3Store:
    """The store at bucket/prefix."""
    bucket, _, prefix = location.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise InputError(f"store 's3://{location}': {bucket!r} is not a bucket's name")
    return S3Store(bucket, prefix.strip("/"), endpoint_url)


def _client(endpoint_url: Optional[str], answer_timeout_s: float) -> Any:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    elsewhere = endpoint_url or any(map(os.environ.get, names))
    botocore = logging.getLogger("botocore")
    if botocore.level == logging.NOTSET:
        botocore.setLevel(logging.CRITICAL)  # it logs tracebacks of what it raises as well
    config = Config(
        max_pool_connections=_CONNECTIONS,
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=answer_timeout_s,
        request_checksum_calculation="when_required",  # ours are SHA-256
        response_checksum_validation="when_required",  # every byte's hash is compared later
        # Few servers other than AWS have a host name per bucket.
        s3={"addressing_style": "path"} if elsewhere else None,
    )
    try:
        # boto3.client() would warn that Python 3.9 is old; Session does not.
        return Session().client("s3", endpoint_url=endpoint_url, config=config)
    except ValueError as error:  # boto3's error for an endpoint that is not a URL
        raise InputError(f"--endpoint-url: {one_line(error)}") from error


def _base64(sha256: str) -> str:
    return b64encode(bytes.fromhex(sha256)).decode()
