"""The S3 job with a real compiled program of the demo network: the folder job's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from depth.maps.files import read_depth
from depth.store.catalogue import find
from depth.store.objects import ObjectStore, open_store
from depth.store.promote import promote
from depth.store.push import push
from tests.serve.s3.conftest import Pair
from tests.support.object_jobs import data, left
from tests.support.places import ROOT
from tests.support.processes import start
from tests.support.programs import make_artifact

pytestmark = pytest.mark.long
SAMPLES = sorted((ROOT / "input_images/samples").glob("*.jpg"))
ALIAS = "demo/openvino/production"


def done(place: Path, *words: object) -> list[str]:
    """The lines of stdout of `python -m serve`, which ends well."""
    place.mkdir(exist_ok=True)
    process = start(place, "-m", "serve", *words)
    assert process.wait(120) == 0, (place / "stderr").read_text()
    return (place / "stdout").read_text().splitlines()


def downloaded(store: ObjectStore, key: str, folder: Path) -> Path:
    """The .json of a result, beside the depth file that it describes."""
    folder.mkdir(exist_ok=True)
    for each in (key, key[: -len("json")] + "png"):
        (folder / each.rpartition("/")[2]).write_bytes(data(store, each))
    return folder / key.rpartition("/")[2]


@pytest.mark.parametrize("pair", ["s3"], indirect=True)
def test_a_compiled_program_gives_the_same_depth_as_the_folder_job(
    pair: Pair, tmp_path: Path
) -> None:
    artifact = make_artifact(tmp_path / "made")
    models = f"{pair.source.rpartition('/')[0]}/models"
    with open_store(models, pair.url) as store:
        push(store, artifact)
        promote(store, find(store, artifact.identity), ALIAS)
    for sample in SAMPLES:
        pair.images.write(sample.name, sample.read_bytes())
    server = ("--endpoint-url", pair.url)
    named = ("--store", models, "--alias", ALIAS, "--kept-in", tmp_path / "kept")
    printed = done(tmp_path / "s3", "s3", pair.source, pair.target, *named, *server)
    assert len(printed) == len(SAMPLES) > 1
    there = left(pair.results)
    assert (set(there.images), there.wrong) == ({each.name for each in SAMPLES}, [])

    samples, out = ("--input", SAMPLES[0].parent), ("--output", tmp_path / "out")
    done(tmp_path / "folder", "folder", artifact.folder, *samples, *out)
    for sample in SAMPLES:
        (key,) = there.images[sample.name]
        ours = read_depth(downloaded(pair.results, key, tmp_path / "down")).depth
        (beside,) = (tmp_path / "out").glob(f"{sample.stem}*.json")
        assert np.array_equal(ours.values, read_depth(beside).depth.values)
        assert np.ptp(ours.values) > 0
