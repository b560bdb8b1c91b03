"""Large objects in parts, so that an upload that was cut off goes on where it stopped.

The store itself remembers the parts of an unfinished upload. One for the same key is continued if
each of its parts is what we would send; any other is somebody else's and left alone. (S3 keeps
unfinished uploads until a lifecycle rule removes them.)
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from depth.store.objects import OnBytes


@dataclass(frozen=True)
class Place:
    """Where an object goes."""

    client: Any  # of boto3
    bucket: str
    key: str

    @property
    def address(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.key}


@dataclass(frozen=True)
class Parts:
    """`data` cut into pieces of `part_bytes`, which are numbered from 1."""

    data: memoryview
    part_bytes: int

    @property
    def numbers(self) -> range:
        return range(1, 1 + -(-len(self.data) // self.part_bytes))

    def part(self, number: int) -> memoryview:
        return self.data[(number - 1) * self.part_bytes : number * self.part_bytes]

    def checksum(self, number: int) -> str:
        return b64encode(hashlib.sha256(self.part(number)).digest()).decode()

    def composite_checksum(self) -> str:
        """What S3 keeps for the whole: the hash of the parts' hashes (AWS S3 documentation)."""
        digests = b"".join(hashlib.sha256(self.part(n)).digest() for n in self.numbers)
        return b64encode(hashlib.sha256(digests).digest()).decode()


def upload_in_parts(place: Place, parts: Parts, on_bytes: OnBytes) -> int:
    """Send what is not there yet, then join the parts; returns how many bytes were sent.

    Raises the client's NoSuchUpload if another process ended the upload meanwhile.
    """
    client = place.client
    unfinished = _unfinished(place, parts)
    if unfinished is None:
        created = client.create_multipart_upload(**place.address, ChecksumAlgorithm="SHA256")
        unfinished = created["UploadId"], {}
    upload_id, tags = unfinished
    done = []
    sent_bytes = 0
    for number in parts.numbers:
        checksum = parts.checksum(number)
        if number not in tags:
            sent = client.upload_part(
                **place.address,
                UploadId=upload_id,
                PartNumber=number,
                Body=bytes(parts.part(number)),
                ChecksumSHA256=checksum,
            )
            tags[number] = sent["ETag"]
            sent_bytes += len(parts.part(number))
        done.append({"PartNumber": number, "ETag": tags[number], "ChecksumSHA256": checksum})
        on_bytes(len(parts.part(number)))
    client.complete_multipart_upload(
        **place.address, UploadId=upload_id, MultipartUpload={"Parts": done}
    )
    return sent_bytes


def _unfinished(place: Place, parts: Parts) -> Optional[tuple[str, dict[int, str]]]:
    """The upload to continue, with the ETag of each part that it has by number."""
    for upload_id in _uploads(place):
        found = list(_parts(place, upload_id))
        if found and all(is_ours(part, parts) for part in found):
            return upload_id, {part["PartNumber"]: part["ETag"] for part in found}
    return None


def is_ours(found: dict[str, Any], parts: Parts) -> bool:
    """Whether a part in the store, as the server describes it, is what we would send."""
    number = found["PartNumber"]
    if number not in parts.numbers or found["Size"] != len(parts.part(number)):
        return False
    if "ChecksumSHA256" in found:
        return bool(found["ChecksumSHA256"] == parts.checksum(number))
    md5 = hashlib.md5(parts.part(number), usedforsecurity=False).hexdigest()
    return bool(found["ETag"].strip('"') == md5)


def _uploads(place: Place) -> Iterator[str]:
    pages = place.client.get_paginator("list_multipart_uploads")
    for page in pages.paginate(Bucket=place.bucket, Prefix=place.key):
        for upload in page.get("Uploads", ()):
            if upload["Key"] == place.key:
                yield upload["UploadId"]


def _parts(place: Place, upload_id: str) -> Iterator[dict[str, Any]]:
    pages = place.client.get_paginator("list_parts")
    for page in pages.paginate(**place.address, UploadId=upload_id):
        yield from page.get("Parts", ())
