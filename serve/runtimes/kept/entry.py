"""A prepared program in a file: what it was made from, the sha256 of its bytes, and the bytes.

    depth-kept 1 <sha256 of the bytes> <JSON of what it was made from>\\n<bytes>

The name of the file is the sha256 of that JSON. An entry whose words or bytes differ is removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.cpu import ROOT, fields_of
from depth.files import sha256_bytes
from serve.runtimes.kept.folder import SUFFIX, KeptFolder, kept_folder

_MAGIC = b"depth-kept 1 "
_DIGITS = 64
# Of /proc/cpuinfo: what a runtime may choose its code by.
_CPU = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features")


@dataclass(frozen=True)
class Entry:
    """The place of one prepared program.

    folder  None: nothing is kept
    made    of what, in JSON
    """

    folder: Optional[KeptFolder]
    made: bytes

    @property
    def name(self) -> str:
        return sha256_bytes(self.made) + SUFFIX

    def read(self) -> Optional[bytes]:
        """The prepared program, whose hash was compared; None if there is none."""
        data = self.folder.read(self.name) if self.folder else None
        if data is None:
            return None
        head = len(_MAGIC) + _DIGITS
        body = head + len(self._words)
        program = data[body:]
        if (
            data[: len(_MAGIC)] == _MAGIC
            and data[head:body] == self._words
            and data[len(_MAGIC) : head] == sha256_bytes(program).encode()
        ):
            return program
        self.drop()
        return None

    def write(self, program: bytes) -> bool:
        """Keep the program; False if it was not possible."""
        if self.folder is None:
            return False
        digest = sha256_bytes(program).encode()
        return self.folder.write(self.name, _MAGIC, digest, self._words, program)

    def drop(self) -> None:
        """Remove it: it cannot be used."""
        if self.folder is not None:
            self.folder.drop(self.name)

    @property
    def _words(self) -> bytes:
        return b" " + self.made + b"\n"


def entry_of(
    artifact: Artifact, program: Program, runtime: str, settings: Mapping[str, Any]
) -> Entry:
    """The entry of a program of an artifact, prepared with these settings for this CPU.

    runtime  its name and version
    """
    folder = kept_folder(os.environ)
    if folder is None:
        return Entry(None, b"")
    cpu = fields_of(ROOT / "proc/cpuinfo")
    made = {
        "artifact": artifact.identity,
        "program": program.name,
        "files": [file.sha256 for file in program.files],
        "runtime": runtime,
        "settings": dict(settings),
        "cpu": {name: cpu.get(name, "") for name in _CPU},
        "machine": os.uname().machine,
        "cores": len(os.sched_getaffinity(0)),
    }
    return Entry(folder, json.dumps(made, sort_keys=True, separators=(",", ":")).encode())
