"""What the Python blocks of the pages need, and what their comments promise."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from compile.build.build import build
from compile.build.request import Request
from compile.untrained import untrained_checkpoint
from depth.artifact.program import ProgramKey
from depth.errors import ImageError
from depth.family import model_named
from depth.maps.result import Result
from depth.weights.registry import published
from depth_anything_3.config import MODELS
from serve.engine import Engine
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.library import Library
from serve.pipeline import DepthPipeline
from serve.shapes import BUCKETS
from tests.support.da3_views import SIZE, TINY_MODEL
from tests.support.hostile import encoded, picture
from tests.support.mask_artifacts import mask_artifact
from tests.support.panoramas import is_panorama, panorama_of_a_page
from tests.support.places import ROOT
from tests.support.programs import make_artifact
from tests.support.services import a_service, client_of
from tests.support.simulated import Device, Model

Names = dict[str, Any]


def an_artifact() -> Names:
    """artifacts/NAME and a photograph."""
    make_artifact(Path("artifacts")).folder.rename("artifacts/NAME")
    Path("a.jpg").write_bytes(encoded(picture(56, 70), "JPEG"))
    return {}


def a_result() -> Names:
    """What a folder job leaves in output_depth/."""
    Path("in/a").mkdir(parents=True)
    Path("in/a/b.jpg").write_bytes(encoded(picture(56, 70), "JPEG"))
    library = Library([make_artifact(Path("artifacts"))])
    with Engine(library, BUCKETS) as engine:
        run_folder(engine, FolderJob(Path("in"), Path("output_depth")))
    return {}


def cores() -> Names:
    """Cores that are simulated, with a program of the example's shape."""
    device = Device(Model(lambda _program, _core: 1.0))
    program = ProgramKey(518, 686, 1)
    return {
        "workers": [device.worker(0)],
        "programs": [program],
        "reopen": device.worker,
        "tensor": np.zeros((3, 518, 686), np.float32),
    }


def weights() -> Names:
    """Random weights where the page has published ones, and a photograph."""
    Path("checkpoints").mkdir()
    state = untrained_checkpoint(model_named("vits")).state
    torch.save(state, "checkpoints/depth_anything_v2_vits.pth")
    Path("photo.jpg").write_bytes(encoded(picture(56, 70), "JPEG"))
    return {}


def is_result(names: Names) -> None:
    result: Result = names["result"]
    assert (result.depth.values.dtype, result.depth.values.shape) == (np.float32, (56, 70))
    assert (result.depth.kind, result.depth.unit) == ("relative_inverse", None)


def points_of_an_image() -> Names:
    """An artifact, a photograph, and points that agree with it."""
    an_artifact()
    with DepthPipeline("artifacts/NAME", policy=BUCKETS) as pipeline:
        values = pipeline("a.jpg").depth.values.astype(np.float64)
    rows = [
        f"{x},{y},{float(1 / (0.2 * values[y, x] + 0.1))!r}"
        for y in range(0, 56, 9)
        for x in range(0, 70, 9)
    ]
    Path("points.csv").write_text("\n".join(["x_px,y_px,depth_m", *rows]))
    return {}


def is_fitted(names: Names) -> None:
    result: Result = names["result"]
    assert (result.depth.kind, result.depth.values.shape) == ("metres", (56, 70))
    assert result.fit is not None
    assert result.fit.scale == pytest.approx(0.2)
    assert "points agree, median error" in result.fit.text()


def a_named_model() -> Names:
    """Random weights of vits, and a photograph."""
    weights()
    Path("photo.jpg").rename("a.jpg")
    return {}


def a_photograph() -> Names:
    """A photograph, for a worker of this project."""
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    Path("a.jpg").write_bytes(encoded(picture(56, 70), "JPEG"))
    return {}


def a_service_at_hand() -> Names:
    """A photograph, and a service that answers what httpx asks."""
    Path("photo.jpg").write_bytes(encoded(picture(30, 40), "JPEG"))
    end = ExitStack()
    client = client_of(end.enter_context(a_service()))
    patch = end.enter_context(pytest.MonkeyPatch.context())

    def post(url: str, content: bytes, headers: dict[str, str], timeout: float) -> httpx.Response:
        assert timeout > 0  # which a client without a network does not take
        return client.post(url, content=content, headers=headers)

    patch.setattr(httpx, "post", post)
    return {"end": end}


def is_network_s(names: Names) -> None:
    names["end"].close()
    assert (names["depth"].dtype, names["depth"].shape) == (np.float32, (30, 40))


def is_stub(names: Names) -> None:
    assert names["answer"].values.shape == (56, 70)
    assert names["answer"].facts["values"] == "relative_inverse"
    assert names["pending"].done()


def is_saved(names: Names) -> None:
    is_result(names)
    assert Path("a.depth.png").is_file()
    assert Path("a.depth.json").is_file()


def is_pipeline(names: Names) -> None:
    is_result(names)
    refused = names["several"][1]
    assert isinstance(refused, ImageError)
    assert np.array_equal(np.load("out/a.npy"), names["result"].depth.values)


def is_like_transformers(names: Names) -> None:
    values = names["found"]["predicted_depth"]
    assert (type(values), values.shape, values.dtype) == (torch.Tensor, (56, 70), torch.float32)
    assert (names["found"]["depth"].mode, names["found"]["depth"].size) == ("L", (70, 56))
    assert names["found"].result.provenance.model == "demo"


def is_answer(names: Names) -> None:
    assert {name: a.shape for name, a in names["outputs"].items()} == {"depth": (518, 686)}


def is_depth(names: Names) -> None:
    assert (names["depth"].dtype, names["depth"].shape) == (np.float32, (56, 70))


def nothing() -> Names:
    return {}


def is_exported(_: Names) -> None:
    written = {path.relative_to("scene").as_posix() for path in Path("scene").rglob("*.*")}
    assert {"scene.json", "sparse/0/cameras.bin"} <= written
    assert any(name.endswith(".ply") for name in written)


def is_scene(names: Names) -> None:
    assert names["scene"].depth.shape == (2, 112, 112)
    assert names["scene"].extrinsics.shape == (2, 3, 4)


def views_of_a_scene() -> Names:
    """Random weights of da3-small, and two photographs."""
    Path("checkpoints").mkdir()
    state = untrained_checkpoint(model_named("da3-small")).state
    save_file(dict(state), Path("checkpoints") / published("da3-small").local_name)
    for number, name in enumerate(("left.jpg", "right.jpg")):
        Path(name).write_bytes(encoded(picture(80, 120, seed=number), "JPEG"))
    return {}


def an_artifact_of_scenes() -> Names:
    """artifacts/SCENES for one and two views of 56x84 px, and two photographs."""
    views_of_a_scene()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, TINY_MODEL.name, TINY_MODEL)
        weights = untrained_checkpoint(TINY_MODEL)
        request = Request(TINY_MODEL, weights, "torchscript", "fp32", [SIZE], views=(1, 2))
        build(request, Path("artifacts")).rename("artifacts/SCENES")
    return {}


def is_served_scene(names: Names) -> None:
    scene = names["scene"]
    assert (len(scene), scene.extrinsics.shape) == (2, (2, 3, 4))
    assert scene.provenance.artifact
    assert names.get("windows", [2, 1, 1, 1]) == [2, 1, 1, 1]


def is_cropped(names: Names) -> None:
    made = names["model"].inference(names["photos"], process_res=112)
    assert made.depth.shape == (2, 84, 84)


def masks_of_an_image() -> Names:
    """artifacts/MASKS and a photograph of a red wall."""
    mask_artifact(Path("artifacts")).folder.rename("artifacts/MASKS")
    Path("a.jpg").write_bytes(encoded(Image.new("RGB", (70, 56), (255, 0, 0)), "JPEG"))
    return {}


def is_masked(names: Names) -> None:
    assert set(names["found"].counts) == {"red"}
    ignored = names["ignored"]
    assert (ignored.dtype, ignored.shape) == (np.bool_, (56, 70))
    assert ignored.mean() > 0.9


def are_parts(names: Names) -> None:
    assert names["disparity"].shape == (1, 1, 518, 518)
    assert "pretrained.blocks.0.ls1.gamma" in names["frozen"]


def is_midas_s(names: Names) -> None:
    with torch.no_grad():
        depth = names["model"].eval()(torch.zeros(1, 3, 32, 64))
    assert depth.shape == (1, 32, 64)
    assert depth.min() >= 0


# By a line of the block: what it needs, and what its comments promise.
RUN: dict[str, tuple[Callable[[], Names], Callable[[Names], None]]] = {
    'pipeline("a.jpg").fitted(points)': (points_of_an_image, is_fitted),
    'DepthPipeline("vits")("a.jpg")': (a_named_model, is_saved),
    'pipeline("depth-estimation"': (an_artifact, is_like_transformers),
    'with DepthPipeline("artifacts/NAME"': (an_artifact, is_pipeline),
    'PanoramaPipeline("demo"': (panorama_of_a_page, is_panorama),
    "with Engine(Library([read_artifact": (an_artifact, is_result),
    'read_depth("output_depth/a/b.json")': (a_result, is_result),
    "with Scheduler(workers, programs, reopen)": (cores, is_answer),
    "answer = httpx.post(": (a_service_at_hand, is_network_s),
    "with SidecarClient(command)": (a_photograph, is_stub),
    'DepthAnythingV2(encoder="vits"': (weights, is_depth),
    "tokens = model.pretrained.get_inter": (nothing, are_parts),
    "model = DPTDepthModel(path=None": (nothing, is_midas_s),
    "for path in export_scene(": (nothing, is_exported),
    "scene = views_of(network": (nothing, is_scene),
    'ScenePipeline("da3-small")': (views_of_a_scene, is_served_scene),
    'ScenePipeline("artifacts/SCENES")': (an_artifact_of_scenes, is_served_scene),
    'DepthAnything3("da3-small")': (nothing, is_cropped),
    'InstanceNetwork(read_artifact(Path("artifacts/MASKS")))': (masks_of_an_image, is_masked),
}
