"""Packages as small as can be, and an index of them on loopback."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

WRONG = 'raise ImportError("WRONG PACKAGE. Please install the package from Neuron Repository")\n'


def wheel(
    folder: Path, name: str, version: str, files: Mapping[str, str], *requires: str, tool: str = ""
) -> Path:
    """A wheel as small as can be. tool: a program, whose function is `main` of that module."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    extras = re.findall(r'extra == "(.*)"', "\n".join(requires))
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    needs += "".join(f"Provides-Extra: {extra}\n" for extra in extras)
    told = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if tool:
        told[f"{info}/entry_points.txt"] = f"[console_scripts]\n{tool} = {module}:main\n"
    record = "".join(f"{path},sha256={digest(text)},{len(text)}\n" for path, text in told.items())
    (folder / name).mkdir(parents=True, exist_ok=True)
    path = folder / name / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in {**told, f"{info}/RECORD": record}.items():
            archive.writestr(inside, text)
    return path


def source(folder: Path, name: str, version: str) -> None:
    """A source package that only says "WRONG PACKAGE" when it is built."""
    inside = f"{name.replace('-', '_')}-{version}"
    files = {
        "pyproject.toml": "[build-system]\nrequires = []\n"
        'build-backend = "b"\nbackend-path = ["."]\n',
        "b.py": WRONG,
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    }
    (folder / name).mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / name / f"{inside}.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{inside}/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))


def digest(text: str) -> str:
    raw = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64  # uv asks for many pages at once


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def indexes(folder: Path) -> Iterator[str]:
    """The address at which each folder of `folder` is a package index."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
