"""Ceph's S3 gateway on loopback, with a cluster of one node that keeps objects in memory.

As a script it says whether Ceph is here, and what to install if it is not.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("ceph", "ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "ceph-authtool", "monmaptool")
INSTALL = "apt-get install --no-install-recommends ceph-mon ceph-mgr ceph-osd ceph-common radosgw"
KEY, SECRET = "ceph-test", "ceph-secret"
_ALL = ("mon", "osd", "mgr")
_WAIT_S = 90
_SETTINGS = """[global]
fsid = {cluster}
mon host = [v2:127.0.0.1:{first},v1:127.0.0.1:{second}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
mon allow pool size one = true
mon max pg per osd = 1000
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 2147483648
keyring = {folder}/keyring
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
mon data = {folder}/mon
osd data = {folder}/osd
mgr data = {folder}/mgr
[client.rgw.a]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
"""


def missing() -> list[str]:
    """Programs of Ceph that this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@contextmanager
def gateway(folder: Path) -> Iterator[str]:
    """The URL of the gateway, whose only user has KEY and SECRET. Raises RuntimeError.

    folder  an empty folder with a short path: sockets lie in it
    """
    node = _Node(folder)
    try:
        yield node.url
    finally:
        node.close()


class _Node:
    """A cluster's processes, started one after another; each waits for the ones before it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self._env = {**os.environ, "CEPH_CONF": str(folder / "ceph.conf")}
        ports, cluster = _free_ports(3), str(uuid.uuid4())
        self.url = f"http://127.0.0.1:{ports[2]}"
        for name in ("mon", "osd", "mgr", "rgw"):
            (folder / name).mkdir()
        names = {"first": ports[0], "second": ports[1], "port": ports[2]}
        text = _SETTINGS.format(folder=folder, cluster=cluster, **names)
        (folder / "ceph.conf").write_text(text)
        try:
            self._start_all(f"[v2:127.0.0.1:{ports[0]},v1:127.0.0.1:{ports[1]}]", cluster)
        except BaseException:
            self.close()
            raise

    def _start_all(self, address: str, cluster: str) -> None:
        keys = str(self._folder / "keyring")
        self._do("ceph-authtool", "-C", keys, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for name in ("client.admin", "mgr.x", "osd.0", "client.rgw.a"):
            caps = [word for each in _ALL for word in ("--cap", each, "allow *")]
            self._do("ceph-authtool", keys, "--gen-key", "-n", name, *caps)
        places = str(self._folder / "monmap")
        self._do("monmaptool", "--create", "--addv", "a", address, "--fsid", cluster, places)
        self._do("ceph-mon", "--mkfs", "-i", "a", "--monmap", places, "--keyring", keys)
        self._start("ceph-mon", "-i", "a", "-f")
        self._start("ceph-mgr", "-i", "x", "-f")
        self._do("ceph", "osd", "create")
        self._do("ceph-osd", "-i", "0", "--mkfs")
        self._start("ceph-osd", "-i", "0", "-f")
        user = ("--uid=t", "--display-name=t", f"--access-key={KEY}", f"--secret={SECRET}")
        self._do("radosgw-admin", "user", "create", *user)
        self._start("radosgw", "-n", "client.rgw.a", "-f")
        self._until_it_answers()

    def close(self) -> None:
        """End every process, the last one first."""
        for process in reversed(self._running):
            process.kill()
            process.wait()

    def _do(self, *command: str) -> None:
        with (self._folder / "said").open("ab") as said:
            try:
                code = subprocess.run(
                    command, env=self._env, stdout=said, stderr=said, timeout=_WAIT_S, check=False
                ).returncode
            except subprocess.TimeoutExpired:
                code = -1
        if code:
            raise RuntimeError(f"{command[0]} ended with {code}: {self._said()}")

    def _start(self, *command: str) -> None:
        with (self._folder / "said").open("ab") as said:
            self._running.append(subprocess.Popen(command, env=self._env, stdout=said, stderr=said))

    def _until_it_answers(self) -> None:
        end_s = time.monotonic() + _WAIT_S
        while time.monotonic() < end_s and self._running[-1].poll() is None:
            try:
                with urllib.request.urlopen(self.url, timeout=5):
                    return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"radosgw does not answer: {self._said()}")

    def _said(self) -> str:
        return (self._folder / "said").read_text(errors="replace")[-500:]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def main() -> int:
    lacking = missing()
    if lacking:
        sys.stderr.write(f"Ceph is not here ({', '.join(lacking)} missing). On Debian: {INSTALL}\n")
    return int(bool(lacking))


if __name__ == "__main__":
    sys.exit(main())
