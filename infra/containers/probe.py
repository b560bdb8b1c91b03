"""Runs inside a container: starts what its image starts, asks the service, prints what it saw.

`python probe.py FILE`: FILE is JSON with command, health, refused (modules that must not be there)
and image (a file, or null). The last line of the output is JSON.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

URL = "http://127.0.0.1:8000"
PATIENCE_S = 180


def main() -> int:
    plan = json.loads(Path(sys.argv[1]).read_text())
    seen: dict[str, Any] = {
        "user": os.getuid(),
        "root": "read-only" if _is_read_only() else "writable",
    }
    found = [name for name in plan["refused"] if importlib.util.find_spec(name)]
    seen["unwanted modules"] = found
    try:
        seen.update(_service(plan) if plan["health"] else _command(plan))
    except Exception as error:
        seen["failed"] = f"{type(error).__name__}: {error}"
    sys.stdout.write(json.dumps(seen) + "\n")
    bad = "failed" in seen or found or seen["user"] == 0 or seen["root"] == "writable"
    return int(bool(bad))


def _is_read_only() -> bool:
    try:
        Path("/opt/depth/written").write_text("")
    except OSError:
        return True
    return False


def _command(plan: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(plan["command"], check=True, stdout=subprocess.PIPE, text=True)
    return {"first line": done.stdout.strip().splitlines()[0]}


def _service(plan: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    process = subprocess.Popen(plan["command"])
    try:
        _until(lambda: _is_healthy(plan["health"]), process)
        seen: dict[str, Any] = {"healthy after s": round(time.monotonic() - began, 1)}
        _until(_is_ready, process)
        seen["ready after s"] = round(time.monotonic() - began, 1)
        if plan["image"]:
            seen.update(_depth(Path(plan["image"]).read_bytes()))
    finally:
        process.terminate()
    seen["exit code after SIGTERM"] = process.wait(60)
    if seen["exit code after SIGTERM"]:
        raise RuntimeError(f"the service ended with code {seen['exit code after SIGTERM']}")
    return seen


def _until(done: Any, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not done():
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with code {process.returncode}")
        if time.monotonic() > until:
            raise RuntimeError(f"not healthy and ready within {PATIENCE_S} s")
        time.sleep(0.5)


def _is_healthy(command: list[str]) -> bool:
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def _is_ready() -> bool:
    try:
        with urllib.request.urlopen(f"{URL}/readyz", timeout=4) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False


def _depth(image: bytes) -> dict[str, Any]:
    request = urllib.request.Request(f"{URL}/v1/depth", data=image)
    with urllib.request.urlopen(request, timeout=60) as answer:
        body = answer.read()
    if body[:8] != b"\x89PNG\r\n\x1a\n":
        raise RuntimeError("/v1/depth did not answer with a PNG")
    return {"depth": f"PNG of {len(body)} bytes"}


if __name__ == "__main__":
    sys.exit(main())
