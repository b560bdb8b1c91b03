"""A Ray job with a real compiled program of the demo network, pulled once per machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from depth.store.catalogue import find
from depth.store.objects import open_store
from depth.store.promote import promote
from depth.store.push import push
from tests.support import s3_server
from tests.support.object_jobs import data, left, put_images
from tests.support.odd_servers import counting
from tests.support.processes import start
from tests.support.programs import make_artifact

pytest.importorskip("ray", reason="ray is not installed: `make test-ray` brings it")
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
ALIAS = "demo/openvino/production"
WORKERS, IMAGES = 3, 100  # four batches


@pytest.mark.parametrize(("how", "pulls"), [("together", 1), ("apart", WORKERS)])
def test_the_workers_of_a_machine_pull_the_artifact_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, pulls: int
) -> None:
    """`apart` is the failing side: workers that share nothing are seen to pull it each."""
    s3_server.settings(monkeypatch)
    place, artifact = s3_server.location(), make_artifact(tmp_path / "made")
    with open_store(f"{place}/models", s3_server.running().url) as store:
        push(store, artifact)
        promote(store, find(store, artifact.identity), ALIAS)
    with open_store(f"{place}/in", s3_server.running().url) as store:
        put_images(store, IMAGES)
    with counting(s3_server.running().url) as (url, read):
        names = (f"{place}/in", f"{place}/out", url, f"{place}/models", ALIAS, tmp_path / "kept")
        job = start(tmp_path, "-m", "tests.support.ray_program", *names, WORKERS, how)
        assert job.wait(600) == 0, (tmp_path / "stderr").read_text()
    files = {file.sha256 for program in artifact.manifest.programs for file in program.files}
    pulled = {path.rpartition("/")[2]: n for path, n in read.items() if "/models/objects/" in path}
    assert pulled == dict.fromkeys(files, 1 + pulls)  # the driver's own machine, and the workers'
    with open_store(f"{place}/out", s3_server.running().url) as store:
        there = left(store)
        (settings,) = [each.key for each in store.listed("") if "settings.json" in each.key]
        assert json.loads(data(store, settings))["artifacts"] == [artifact.identity]
    assert (len(there.images), there.wrong, there.orphans) == (IMAGES, [], [])
