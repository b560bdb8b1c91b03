"""Instances of an artifact, from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth.errors import InputError
from serve.doctor.gather import gather
from serve.doctor.host_rules import artifact_findings
from serve.engine import Engine
from serve.errors import ProgramError, RefusedError
from serve.library import Library
from serve.masks.network import InstanceNetwork
from serve.scenes.library import SceneLibrary
from tests.support.mask_artifacts import altered, mask_artifact
from tests.support.programs import make_artifact

RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)


def scene(*rectangles: tuple[slice, slice, tuple[int, int, int]], size: Any = (128, 192)) -> Any:
    """Gray with coloured rectangles, uint8 [H,W,3] BGR."""
    pixels = np.full((*size, 3), 114, np.uint8)
    for rows, columns, colour in rectangles:
        pixels[rows, columns] = colour
    return pixels


RED_BOX = (slice(32, 80), slice(32, 96), RED)
BLUE_BOX = (slice(64, 112), slice(112, 176), BLUE)


@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_coloured_rectangles_are_found(target: str, tmp_path: Path) -> None:
    network = InstanceNetwork(mask_artifact(tmp_path, target))
    found = network.find(scene(RED_BOX, BLUE_BOX))
    assert set(found.counts) == {"red", "blue"}
    expected = np.zeros((128, 192), np.bool_)
    expected[32:80, 32:96] = expected[64:112, 112:176] = True
    # The prototypes have 8 px of this image, so the border is known to a few px.
    inner, outer = np.zeros_like(expected), expected.copy()
    inner[38:74, 38:90] = inner[70:106, 118:170] = True
    outer[24:88, 24:104] = outer[56:120, 104:184] = True
    assert found.region[inner].all()
    assert not found.region[~outer].any()


def test_only_the_wanted_classes_count(tmp_path: Path) -> None:
    artifact = mask_artifact(tmp_path)
    pixels = scene(RED_BOX, BLUE_BOX)
    red = InstanceNetwork(artifact, ["red"]).find(pixels)
    assert set(red.counts) == {"red"}
    assert red.region[60, 60]
    assert not red.region[90, 140]
    none = InstanceNetwork(artifact, ["green"]).find(pixels)
    assert none.counts == {}
    assert not none.region.any()
    with pytest.raises(InputError, match="no class 'person'; there are red, green, blue"):
        InstanceNetwork(artifact, ["person"])


def test_both_targets_find_the_same_pixels(tmp_path: Path) -> None:
    networks = [InstanceNetwork(mask_artifact(tmp_path, t)) for t in ("onnx", "openvino")]
    pixels = scene(RED_BOX, BLUE_BOX, size=(150, 130))
    one, other = (network.find(pixels) for network in networks)
    assert one.counts == other.counts
    assert np.count_nonzero(one.region != other.region) <= 3


def test_scores_have_to_be_above_the_confidence_that_is_asked_for(tmp_path: Path) -> None:
    artifact = mask_artifact(tmp_path)
    pale = scene((slice(0, 128), slice(0, 192), (110, 110, 230)))  # a score of about 0.36
    assert InstanceNetwork(artifact).find(pale).counts
    assert not InstanceNetwork(artifact, confidence=0.5).find(pale).counts
    for wrong in (-0.1, 1.0, float("nan")):
        with pytest.raises(InputError, match="--confidence"):
            InstanceNetwork(artifact, confidence=wrong)


def test_an_artifact_of_depth_is_refused_with_the_command_that_imports(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="makes depth, .* `python -m compile import FILE.onnx"):
        InstanceNetwork(make_artifact(tmp_path))


@pytest.mark.parametrize("library", [Library, SceneLibrary])
def test_depth_front_ends_refuse_masks_with_the_command_that_makes_them(
    library: Any, tmp_path: Path
) -> None:
    artifact = mask_artifact(tmp_path)
    with pytest.raises(RefusedError, match="masks of instances, and no depth; give it to `python"):
        library([artifact])
    with pytest.raises(RefusedError, match="main.py masks --artifact"):
        Engine(Library([make_artifact(tmp_path), artifact]))


def test_a_failed_artifact_is_refused_unless_it_is_asked_for(tmp_path: Path) -> None:
    def failed(data: Any) -> None:
        data["gate"]["passed"] = False

    artifact = altered(mask_artifact(tmp_path), failed)
    with pytest.raises(RefusedError, match="failed its parity gate"):
        InstanceNetwork(artifact)
    assert InstanceNetwork(artifact, allow_failed_parity=True).find(scene(RED_BOX)).counts


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["steps"][3]["classes"].pop(), "do not go with 2 classes"),
        (lambda d: d["steps"][3].update(detections="output1"), "do not go with 3 classes"),
        (lambda d: d["steps"][3].update(prototypes="elsewhere"), "do not go with 3 classes"),
        (lambda d: d["steps"].pop(0), "this version does letterbox, normalise"),
        (lambda d: d["steps"].reverse(), "this version does letterbox, normalise"),
        (lambda d: d["steps"][0].update(level=300), "this version does letterbox, normalise"),
        (lambda d: d["steps"][1].update(std=[0.0, 1.0, 1.0]), "this version does letterbox"),
        (lambda d: d["programs"][0]["shape"].update(N=127), "do not go with 3 classes"),
        (lambda d: d["programs"][0]["shape"].update(h=17), "do not go with 3 classes"),
    ],
)
def test_a_manifest_that_cannot_be_decoded_is_refused(
    change: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match=said):
        InstanceNetwork(altered(mask_artifact(tmp_path), change))


def test_numbers_that_are_not_finite_fail_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = InstanceNetwork(mask_artifact(tmp_path))
    right = network._runtime.run

    def overflowing(arrays: Any) -> Any:
        outputs = right(arrays)
        outputs["output1"] = outputs["output1"].copy()
        outputs["output1"][0, 5, 3, 3] = np.inf
        return outputs

    monkeypatch.setattr(network._runtime, "run", overflowing)
    with pytest.raises(ProgramError, match="the network's output1 is not finite"):
        network.find(scene(RED_BOX))


def test_an_image_of_another_shape_than_any_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too narrow for a network"):
        InstanceNetwork(mask_artifact(tmp_path)).find(np.zeros((1, 9999, 3), np.uint8))


def test_doctor_names_what_it_makes(tmp_path: Path) -> None:
    artifact = mask_artifact(tmp_path)
    (finding,) = artifact_findings(gather(tmp_path))
    assert finding.level == "ok"
    assert finding.text == (
        f"{artifact.folder.name}: verified, 0 MB, masks of instances, for `python main.py masks`"
    )
