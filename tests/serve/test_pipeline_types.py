"""What a type checker knows of the pipeline: results, and errors only where they are asked for."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.places import ROOT

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not find_spec("mypy"), reason="mypy is in the CPU lane only"),
]

CODE = """
from typing import Any

from depth_anything import DepthPipeline, pipeline
from serve.pipeline import RETURN, ImageResult, Outcome


async def use(pipe: DepthPipeline, option: str) -> None:
    one: ImageResult = pipe("a")
    same: ImageResult = pipe("a", errors="raise", deadline_s=1.0)
    either: Outcome = pipe("a", errors="return")
    some: list[ImageResult] = pipe(["a", b"b"])
    mixed: list[Outcome] = pipe(["a"], errors=RETURN)
    open_: Outcome = pipe("a", errors=option)
    for each in pipe.stream(["a"]):
        each.save("a")
    later: ImageResult = await pipe.async_run("a")
    async with pipe:
        async for each in pipe.async_stream(["a"]):
            each.save("a")
    bad: ImageResult = pipe("a", errors="return")  # refused
    bad = pipe("a", errors=option)  # refused
    pipe(["a"]).depth  # refused
    pipe(["a"], errors="return")[0].depth  # refused
    pipe("a", focal=70.0)  # refused
    for outcome in pipe.stream(["a"], errors="return"):
        outcome.save("a")  # refused
    bad = await pipe.async_run("a", errors="return")  # refused


def like_transformers() -> None:
    pipe = pipeline("depth-estimation", model="vits")
    result: ImageResult = pipe("a.jpg").result
    values: Any = pipe(["a.jpg"])[0]["predicted_depth"]
    pipe("a.jpg").results  # refused
    pipe(["a.jpg"]).result  # refused
"""


def test_a_type_checker_tells_results_from_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mypy import api

    file = tmp_path / "use.py"
    file.write_text(CODE)
    monkeypatch.chdir(ROOT)
    options = ["--strict", "--follow-imports=silent", "--config-file="]
    # Without the types of other packages, which are Any then, it takes 7 s and not 150 s.
    options += ["--no-site-packages", "--ignore-missing-imports"]
    out, err, _ = api.run([*options, "--cache-dir", str(tmp_path / "cache"), str(file)])
    assert err == ""
    found = {int(line.split(":")[1]) for line in out.splitlines() if ": error: " in line}
    wanted = {n for n, line in enumerate(CODE.splitlines(), 1) if line.endswith("# refused")}
    assert found == wanted, out
