"""Depth Anything 3's own code gives the same scenes, with equal random weights.

    DEPTH_ANYTHING_3_UPSTREAM=../Depth-Anything-3 make test ARGS=tests/depth_anything_3

As test_upstream.py: runs for minutes, only with a checkout. `--log-cli-level=INFO` shows the
differences.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.torch import load_file

from depth.maps.result import FloatArray
from depth.steps.ray_pose import cameras_of_rays
from depth.steps.reference_view import (
    FIRST,
    SADDLE_SIM_RANGE,
    STRATEGIES,
    likeness,
    order_of_views,
    places_of_views,
)
from depth.steps.views import Rays, Views, metric_views
from depth_anything_3.anyview.config import GIANT, model_row
from depth_anything_3.anyview.folder import AnyView, from_folder
from depth_anything_3.anyview.layouts import load_nested
from depth_anything_3.anyview.network import build
from depth_anything_3.anyview.stages import eager_stages, metric_of, views_of
from depth_anything_3.inputs import network_inputs
from depth_anything_3.mono.config import LARGE
from depth_anything_3.mono.config import model_row as mono_row
from depth_anything_3.mono.network import MonoNetwork
from tests.support.da3_views import ring, scene
from tests.support.places import PHOTOS, ROOT
from tests.support.ray_samples import SIZE as RAYS_SIZE
from tests.support.ray_samples import rays_of, sample_cameras
from tests.support.upstream_checkouts import NEEDS_UPSTREAM, UPSTREAM, require_imports

logger = logging.getLogger(__name__)

PROGRAM = ROOT / "tests/support/upstream_da3_views.py"
LIMIT = 1e-4  # of the largest value
SIZE = (70, 98)
NATIVE = (518, 518)  # the position embedding as it is stored

pytestmark = NEEDS_UPSTREAM


@pytest.fixture(scope="module", autouse=True)
def importable() -> None:
    require_imports()


@dataclass(frozen=True)
class Case:
    name: str
    images: str
    posed: str = ""
    strategy: str = STRATEGIES[0]


CASES = (
    Case("one", "one"),
    Case("two", "two"),
    Case("native", "native"),
    *(Case(f"five-{strategy}", "five", strategy=strategy) for strategy in STRATEGIES),
    *(Case(f"three-{strategy}", "three", strategy=strategy) for strategy in STRATEGIES),
    Case("nine", "nine"),
    *(Case(f"posed-{number}", number, posed=number) for number in ("one", "two", "three", "five")),
)
SOME = ("one", "two", "three-saddle_balanced", "posed-three")
COUNTS = {"one": 1, "two": 2, "three": 3, "five": 5, "nine": 9}


def inputs() -> dict[str, FloatArray]:
    found = {name: scene(views, SIZE, views) for name, views in COUNTS.items()}
    found["native"] = scene(1, NATIVE, 4)
    for name, views in COUNTS.items():
        found[f"{name}-extrinsics"], found[f"{name}-intrinsics"] = ring(views, SIZE)
    return found


def rays() -> dict[str, npt.NDArray[Any]]:
    """So near to rays of cameras that all of them agree: then no draw counts."""
    lines, confidence = rays_of(sample_cameras(), noise=0.01)
    return {"ray": lines, "ray_conf": confidence, "size": np.array(RAYS_SIZE)}


def photographs() -> dict[str, FloatArray]:
    """Network inputs of real photographs, of the same size; two of them are mirrored."""
    paths = sorted(PHOTOS.glob("*.jpg"))
    images = network_inputs(paths, 140, "upper_bound_resize")
    images = np.concatenate((images, images[:2, :, :, ::-1]))
    return {f"photo-{views}": images[:views] for views in (1, 2, 3, len(images))}


def run_upstream(
    folder: Path, model: str, cases: tuple[Case, ...], given: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    (folder / "cases.json").write_text(json.dumps([vars(case) for case in cases]))
    np.savez(folder / "inputs.npz", **given)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), UPSTREAM, str(folder), model],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "found.npz") as found:
        return dict(found)


def seen(model: AnyView, case: Case, given: dict[str, FloatArray]) -> Views:
    cameras = [given.get(f"{case.posed}-{name}") for name in ("extrinsics", "intrinsics")]
    images = given[case.images]
    found = views_of(model.network, images, *cameras, case.strategy, rays=True)
    return metric_views(found, metric_of(model.metric), images) if model.metric else found


def compare(
    model: AnyView,
    cases: tuple[Case, ...],
    theirs: dict[str, npt.NDArray[Any]],
    given: dict[str, FloatArray],
) -> None:
    worst = dict.fromkeys(OUTPUTS, 0.0)
    for case in cases:
        found = seen(model, case, given)
        reference = int(theirs.get(f"{case.name}-reference", [0])[0])
        if found.reference != reference:
            found = tied(model, case, given[case.images], (found.reference, reference))
        for output, value in outputs_of(found):
            expected = theirs[f"{case.name}-{output}"][..., : value.shape[-1]]
            if output == "extrinsics":
                expected = expected[:, :3]
            assert value.shape == expected.shape, (case, output)
            assert np.isfinite(value).all(), (case, output)
            error = float(np.abs(value - expected).max() / np.abs(expected).max())
            worst[output] = max(worst[output], error)
            assert error <= LIMIT, (case, output, error)
        if found.scale is not None:
            error = abs(found.scale / float(theirs[f"{case.name}-scale"]) - 1)
            logger.info("%s: scale %.3f, %.1e off", case.name, found.scale, error)
            assert error <= LIMIT
    logger.info("%s: %s", model.name, {name: f"{error:.1e}" for name, error in worst.items()})


def tied(model: AnyView, case: Case, images: FloatArray, views: tuple[int, int]) -> Views:
    """The scene with the second of two reference views that are equally good but for rounding."""
    assert case.strategy == SADDLE_SIM_RANGE, case
    logger.info("%s: view %d, and upstream's view %d, by rounding", case.name, *views)
    found = likeness(
        eager_stages(model.network, (images.shape[2], images.shape[3])).prefix(images).class_tokens
    )
    ranges = found.max(axis=1) - found.min(axis=1)
    assert abs(ranges[views[0]] - ranges[views[1]]) < 1e-6
    order = order_of_views(len(images), views[1])
    first = views_of(model.network, images[order], strategy=FIRST, rays=True)
    places = places_of_views(order)
    assert first.rays is not None
    lines = Rays(first.rays.rays[places], first.rays.confidence[places])
    names = ("depth", "confidence", "extrinsics", "intrinsics")
    return Views(*(getattr(first, name)[places] for name in names), views[1], lines)


OUTPUTS = ("depth", "depth_conf", "extrinsics", "intrinsics", "ray", "ray_conf")


def outputs_of(found: Views) -> Iterator[tuple[str, FloatArray]]:
    assert found.rays is not None
    arrays = (found.depth, found.confidence, found.extrinsics, found.intrinsics)
    yield from zip(OUTPUTS, (*arrays, found.rays.rays, found.rays.confidence))


def test_scenes_are_equal(tmp_path: Path) -> None:
    theirs = run_upstream(tmp_path, "da3-small", CASES, inputs())
    model = from_folder(tmp_path / "model")
    assert model.name == "da3-small"
    compare(model, CASES, theirs, inputs())
    references = {int(theirs[f"five-{strategy}-reference"][0]) for strategy in STRATEGIES}
    assert len(references) > 2  # so that another choice would have been seen
    # With a damaged weight, the comparison fails.
    bias = model.network.camera_decoder.rotation.bias
    bias += 0.01
    with pytest.raises(AssertionError, match="extrinsics"):
        compare(model, CASES[1:2], theirs, inputs())


@pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"no photographs in {PHOTOS}")
def test_scenes_of_photographs_are_equal(tmp_path: Path) -> None:
    given = photographs()
    cases = tuple(
        Case(f"{name}-{strategy}", name, strategy=strategy)
        for name, images in given.items()
        for strategy in (STRATEGIES if len(images) > 3 else STRATEGIES[:1])
    )
    theirs = run_upstream(tmp_path, "da3-small", cases, given)
    compare(from_folder(tmp_path / "model"), cases, theirs, given)


@pytest.mark.parametrize("name", ["da3-base", "da3-large"])
def test_scenes_of_larger_networks_are_equal(name: str, tmp_path: Path) -> None:
    cases = tuple(case for case in CASES if case.name in SOME)
    theirs = run_upstream(tmp_path, name, cases, inputs())
    compare(from_folder(tmp_path / "model"), cases, theirs, inputs())


def test_a_nested_model_of_fewer_blocks_is_equal(tmp_path: Path) -> None:
    """Two networks, the first with SwiGLU and with a block over all views as its first of trunk."""
    cases = tuple(case for case in CASES if case.name in SOME)
    theirs = run_upstream(tmp_path, "reduced-nested", cases, inputs())
    giant = replace(GIANT, name="reduced-giant", depth=8, taps=(4, 5, 6, 7), alternate_from=3)
    metric = replace(LARGE, name="reduced-metric", depth=4, taps=(0, 1, 2, 3))
    model = AnyView(
        "reduced-nested",
        build(model_row(giant)).eval(),
        MonoNetwork(mono_row("reduced-metric", metric, metric=True)).eval(),
    )
    assert model.metric is not None
    state = load_file(tmp_path / "model/model.safetensors")
    load_nested(model.network, model.metric, state, "upstream's")  # Gaussians too: no key is left
    compare(model, cases, theirs, inputs())


def test_cameras_of_rays_are_equal(tmp_path: Path) -> None:
    given = rays()
    theirs = run_upstream(tmp_path, "rays", (), given)
    found = cameras_of_rays(given["ray"], given["ray_conf"], RAYS_SIZE)
    for name in ("extrinsics", "intrinsics"):
        error = np.abs(getattr(found, name) - theirs[name]).max() / np.abs(theirs[name]).max()
        logger.info("rays: %s %.1e", name, error)
        assert error <= LIMIT
