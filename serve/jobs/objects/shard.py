"""A share of the images of a job, by a hash of their keys: workers need no list of each other."""

from __future__ import annotations

import re
from dataclasses import dataclass

from depth.errors import InputError
from depth.files import sha256_bytes

MOST = 10_000  # shards: the most children of an array job of AWS Batch


@dataclass(frozen=True)
class Shard:
    """Shard `index` of `count`, from 0 on. Every key belongs to one shard."""

    index: int = 0
    count: int = 1

    @staticmethod
    def parse(text: str) -> Shard:
        """Of a text such as "0/4". Raises InputError."""
        found = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text, re.ASCII)
        index, count = map(int, found.groups()) if found else (0, 0)
        if not index < count <= MOST:
            raise InputError(
                f"--shard {text!r}: expected i/n with i from 0 to n - 1, such as 0/4 to 3/4, and "
                f"n at most {MOST}"
            )
        return Shard(index, count)

    def has(self, key: str) -> bool:
        """Whether a key belongs to this shard."""
        digits = sha256_bytes(key.encode("utf-8", "surrogatepass"))[:16]
        return int(digits, 16) % self.count == self.index

    @property
    def name(self) -> str:
        """Such as 0-of-4."""
        return f"{self.index}-of-{self.count}"
