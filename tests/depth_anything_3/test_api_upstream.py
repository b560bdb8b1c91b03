"""Depth Anything 3's own class gives the same predictions, with equal random weights.

    DEPTH_ANYTHING_3_UPSTREAM=../Depth-Anything-3 make test ARGS=tests/depth_anything_3

As test_upstream.py: runs for minutes, only with a checkout. `--log-cli-level=INFO` shows the
differences.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from depth_anything_3.anyview import config
from depth_anything_3.anyview.config import GIANT, NestedModel, model_row
from depth_anything_3.api import DepthAnything3
from depth_anything_3.mono.config import LARGE
from depth_anything_3.mono.config import model_row as mono_row
from depth_anything_3.specs import Prediction
from tests.support.da3_views import ring
from tests.support.places import PHOTOS, ROOT
from tests.support.upstream_checkouts import NEEDS_UPSTREAM, UPSTREAM, require_imports

logger = logging.getLogger(__name__)

PROGRAM = ROOT / "tests/support/upstream_da3_inference.py"
LIMIT = 1e-4  # of the largest value
RES = 140
# (height, width) px: portrait, landscape and nearly square, so that all are cropped
SIZES = [(300, 400), (333, 401), (420, 300), (200, 260), (310, 305), (512, 640)] * 2
OUTLIER = 4  # the view whose given camera is far off

Arrays = dict[str, npt.NDArray[Any]]

pytestmark = NEEDS_UPSTREAM


@pytest.fixture(scope="module", autouse=True)
def importable() -> None:
    require_imports()


@dataclass(frozen=True)
class Case:
    name: str
    views: int
    posed: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def images(self) -> list[str]:
        return [f"{view}.png" for view in range(self.views)]


def posed(views: int, **options: Any) -> list[Case]:
    return [
        Case(f"posed-{views}-{align}", views, True, {"align_to_input_ext_scale": align, **options})
        for align in (True, False)
    ]


CASES = (
    Case("one", 1),
    Case("two", 2, options={"export_feat_layers": [1, 4, 9]}),
    Case("three", 3, options={"export_feat_layers": [2]}),
    Case("middle", 3, options={"ref_view_strategy": "middle"}),
    Case("crop", 3, options={"process_res_method": "upper_bound_crop"}),
    Case("lower", 2, options={"process_res_method": "lower_bound_resize", "process_res": 84}),
    *posed(1),
    *posed(2),
    *posed(3),
    *posed(4, process_res_method="lower_bound_crop", process_res=84),
    *posed(12, process_res=70),
)
# Of the nested model, the only one that is small enough here and has Gaussians.
NESTED_CASES = (
    *(case for case in CASES if case.name in ("one", "middle", "posed-3-True", "posed-3-False")),
    Case("plain-gaussians", 2, options={"infer_gs": True}),
    *(replace(case, name=f"gaussians-{case.name}") for case in posed(3, infer_gs=True)),
)
PARTS = ("means", "scales", "rotations", "harmonics", "opacities")


def save_images(folder: Path) -> None:
    """Photographs where there are any, else noise that looks like something."""
    photos = sorted(PHOTOS.glob("*.jpg"))
    for view, (height, width) in enumerate(SIZES):
        if photos:
            picture = Image.open(photos[view % len(photos)]).convert("RGB")
            picture = picture.resize((width, height))
        else:
            rng = np.random.default_rng(view)
            coarse = rng.integers(0, 256, (height // 9 + 1, width // 9 + 1, 3), dtype=np.uint8)
            picture = Image.fromarray(np.kron(coarse, np.ones((9, 9, 1), np.uint8)))
            picture = picture.crop((0, 0, width, height))
        picture.save(folder / f"{view}.png")


def cameras() -> Arrays:
    found: Arrays = {}
    for case in CASES:
        placed, lenses = ring(case.views)
        if case.views > OUTLIER:
            placed[OUTLIER, :3, 3] += 5
        for lens, (height, width) in zip(lenses, SIZES):
            lens[:] = [[0.9 * width, 0, 0.52 * width], [0, 0.8 * width, 0.47 * height], [0, 0, 1]]
        found[f"{case.views}-extrinsics"], found[f"{case.views}-intrinsics"] = placed, lenses
    return found


def run_upstream(folder: Path, model: str, cases: tuple[Case, ...]) -> Arrays:
    save_images(folder)
    described = [
        {
            **asdict(case),
            "images": case.images,
            "cameras": str(case.views),
            "options": {"process_res": RES, **case.options},
        }
        for case in cases
    ]
    (folder / "cases.json").write_text(json.dumps(described))
    np.savez(folder / "cameras.npz", **cameras())
    command = [sys.executable, str(PROGRAM), UPSTREAM, str(folder), model]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "found.npz") as found:
        return dict(found)


def predicted(model: DepthAnything3, case: Case, folder: Path) -> Prediction:
    given = cameras()
    placed = [given[f"{case.views}-{name}"] for name in ("extrinsics", "intrinsics")]
    paths = [str(folder / name) for name in case.images]
    options = {"process_res": RES, **case.options}
    return model.inference(paths, *(placed if case.posed else ()), **options)


FIELDS = ("depth", "conf", "extrinsics", "intrinsics", "processed_images")


def fields_of(found: Prediction) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for name in FIELDS:
        yield name, getattr(found, name)
    yield from found.aux.items()
    if found.gaussians is not None:
        yield from ((f"gs-{name}", getattr(found.gaussians, name).numpy()) for name in PARTS)
    if found.scale_factor is not None:
        yield "scale_factor", np.array(found.scale_factor)


def expected_of(case: Case, theirs: Arrays) -> Arrays:
    """Upstream's fields; where its alignment raises, those that it would have by distances."""
    start = f"{case.name}-"
    fields = {name[len(start) :]: v for name, v in theirs.items() if name.startswith(start)}
    if "raised" not in fields:
        return {name: v for name, v in fields.items() if not name.startswith("network-")}
    assert case.views < 3, case
    return {n[len("network-") :]: v for n, v in fields.items() if n.startswith("network-")}


def compare(model: DepthAnything3, cases: tuple[Case, ...], theirs: Arrays, folder: Path) -> None:
    worst: dict[str, float] = {}
    for case in cases:
        found, expected = predicted(model, case, folder), expected_of(case, theirs)
        expected.pop("is_metric", None)
        raised = f"{case.name}-raised" in theirs
        if raised:
            scale = spread(expected["extrinsics"]) / spread(cameras()[f"{case.views}-extrinsics"])
            if case.options["align_to_input_ext_scale"] and case.views > 1:
                expected["depth"] = expected["depth"] / scale
            for name in ("extrinsics", "intrinsics"):  # the given ones: see test_api_scenes.py
                expected.pop(name)
        for name, value in fields_of(found):
            if raised and name not in expected:
                continue
            theirs_now = expected.pop(name)
            assert value.shape == theirs_now.shape, (case, name)
            if name != "scale_factor":
                assert value.dtype == theirs_now.dtype, (case, name)
            if name == "gs-rotations":  # a quaternion and its negative are one rotation
                theirs_now = theirs_now * np.sign((value * theirs_now).sum(axis=2, keepdims=True))
            difference = np.abs(value.astype(np.float64) - theirs_now).max()
            error = float(difference / np.abs(theirs_now).max())
            worst[name] = max(worst.get(name, 0.0), error)
            assert error <= LIMIT, (case, name, error)
        assert not expected, (case, list(expected))
    logger.info("%s: %s", model.model_name, {name: f"{error:.1e}" for name, error in worst.items()})


def spread(extrinsics: npt.NDArray[Any]) -> float:
    """How far the last camera is from the first; 1 of one camera."""
    matrices = np.linalg.inv([np.vstack((e[:3], [0, 0, 0, 1])) for e in extrinsics])
    return float(np.linalg.norm(matrices[-1, :3, 3] - matrices[0, :3, 3])) or 1.0


def test_predictions_are_equal(tmp_path: Path) -> None:
    theirs = run_upstream(tmp_path, "da3-small", CASES)
    model = DepthAnything3.from_pretrained(tmp_path / "model")
    assert model.model_name == "da3-small"
    compare(model, CASES, theirs, tmp_path)
    assert "posed-1-True-raised" in theirs
    # With a damaged weight, the comparison fails.
    model.network.camera_decoder.rotation.bias += 0.01  # type: ignore[union-attr]
    with pytest.raises(AssertionError, match="extrinsics"):
        compare(model, CASES[1:2], theirs, tmp_path)


@pytest.mark.parametrize("name", ["da3-base", "da3-large"])
def test_predictions_of_larger_networks_are_equal(name: str, tmp_path: Path) -> None:
    cases = tuple(posed(3, process_res=84, export_feat_layers=[5])[:1])
    theirs = run_upstream(tmp_path, name, cases)
    model = DepthAnything3.from_pretrained(tmp_path / "model")
    assert model.model_name == name
    compare(model, cases, theirs, tmp_path)


def test_metric_predictions_are_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nested model with fewer blocks, which has the weights of Gaussians."""
    theirs = run_upstream(tmp_path, "reduced-nested", NESTED_CASES)
    giant = replace(GIANT, name="reduced-giant", depth=8, taps=(4, 5, 6, 7), alternate_from=3)
    metric = replace(LARGE, name="reduced-metric", depth=4, taps=(0, 1, 2, 3))
    nested = NestedModel(
        "reduced", model_row(giant), mono_row("reduced-metric", metric, metric=True)
    )
    monkeypatch.setitem(config.NESTED_MODELS, "da3nested-giant-large", nested)
    model = DepthAnything3.from_pretrained(tmp_path / "model")
    compare(model, NESTED_CASES, theirs, tmp_path)
    assert all(int(theirs[f"{case.name}-is_metric"]) == 1 for case in NESTED_CASES)
