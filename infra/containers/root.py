"""A fresh root folder without a container engine: its system is this machine's, read-only.

Linux, as root. /usr and what belongs to it are bound read-only. Python 3.9 is bound at /usr/local,
where the base image has it. Everything else is empty: no home, no configuration of pip or uv, no
package of this machine.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

SYSTEM = ("bin", "lib", "lib32", "lib64", "libx32", "sbin", "usr")
ETC = ("resolv.conf", "hosts", "nsswitch.conf", "passwd", "group", "ssl", "ca-certificates")
# What of the environment may come along: the names of an index, a proxy or certificates.
NETWORK = ("CERT", "INDEX", "PROXY", "proxy", "CA_BUNDLE", "TIMEOUT")
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


def make(root: Path) -> None:
    """The folders of a root that has nothing installed."""
    for name in ("dev", "etc", "proc", "root", "sys", "tmp", "usr"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in SYSTEM:
        host = Path("/", name)
        if host.is_symlink():
            (root / name).symlink_to(os.readlink(host))  # noqa: PTH115 - Path.readlink is of 3.9
        elif host.is_dir():
            (root / name).mkdir(exist_ok=True)
    for name in (*ETC, "ld.so.cache", "alternatives"):
        if Path("/etc", name).exists():
            subprocess.run(["cp", "-aL", f"/etc/{name}", str(root / "etc")], check=True)


def enter(
    root: Path,
    command: Sequence[str],
    variables: Mapping[str, str],
    *,
    user: str = "0:0",
    folder: str = "/",
    volumes: Sequence[tuple[Path, str]] = (),
    sealed: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command in the root. Sealed: the root is read-only, and there is no network."""
    lines = ["set -eu", "mount --make-rprivate /", f"cd {shlex.quote(str(root))}", *_system()]
    if sealed:
        lines += ["mount --rbind . .", 'cd "$PWD"', "mount -o remount,bind,ro ."]
        lines += [f"{_tool('ip')} link set lo up"]
    lines += ["mount -t tmpfs -o mode=1777 tmpfs tmp"]
    lines += [f"mount --bind {shlex.quote(str(a))} {shlex.quote(b[1:])}" for a, b in volumes]
    inside = 'cd "$1" && shift && exec "$@"'
    words = [_tool("chroot"), f"--userspec={user}", ".", "/bin/sh", "-c", inside, "sh", folder]
    lines.append("exec " + shlex.join([*words, *command]))
    flags = ["--mount", "--pid", "--fork", "--kill-child", *(["--net"] if sealed else [])]
    return subprocess.run(
        ["unshare", *flags, "sh", "-c", "\n".join(lines)],
        env=_environment(variables, sealed),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )


def _system() -> list[str]:
    """The commands that bind this machine's system into the root."""
    lines = []
    for name in SYSTEM:
        if Path("/", name).is_dir() and not Path("/", name).is_symlink():
            lines += [f"mount --bind /{name} {name}", f"mount -o remount,bind,ro {name}"]
    python = shlex.quote(sys.base_prefix)
    lines += [f"mount --bind {python} usr/local", "mount -o remount,bind,ro usr/local"]
    return [*lines, "mount --rbind /dev dev", "mount --rbind /sys sys", "mount -t proc proc proc"]


def _tool(name: str) -> str:
    return shutil.which(name, path=PATH) or name


def _environment(variables: Mapping[str, str], sealed: bool) -> dict[str, str]:
    named = {n: v for n, v in os.environ.items() if any(word in n for word in NETWORK)}
    # The base image's Python finds its library by ldconfig.
    own = {"PATH": PATH, "HOME": "/root", "LD_LIBRARY_PATH": "/usr/local/lib"}
    return {**own, **({} if sealed else named), **variables}
