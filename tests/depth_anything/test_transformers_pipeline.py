"""The call of `transformers`: names of models, options that are taken and refused, kinds of answer.

tests/depth_anything/test_like_transformers.py runs the same calls on both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compile.weights import BUNDLED
from depth.errors import CheckpointError, ImageError, InputError
from depth.family import models
from depth.maps.files import read_depth
from depth.maps.result import Map
from depth_anything import pipeline, transformers_pipeline
from depth_anything.transformers_names import hub_names, source_of
from depth_anything.transformers_pipeline import Depth, DepthEstimationPipeline
from serve.errors import ClosedError
from serve.pipeline import ImageResult
from tests.support.fresh_python import run_python
from tests.support.hostile import encoded, picture
from tests.support.programs import make_artifact

PNG = encoded(picture(56, 70), "PNG")
PIXELS = np.asarray(picture(56, 70))
SMALL_HF = "depth-anything/Depth-Anything-V2-Small-hf"


@pytest.fixture(name="folder", scope="module")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_artifact(tmp_path_factory.mktemp("artifacts")).folder


@pytest.fixture(name="pipe", scope="module")
def pipe_fixture(folder: Path) -> Iterator[DepthEstimationPipeline]:
    with pipeline("depth-estimation", model=folder, policy="buckets") as pipe:
        yield pipe


def test_an_image_gives_the_two_keys_and_the_whole_result(
    pipe: DepthEstimationPipeline, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    found = pipe(str(path))
    assert dict(found).keys() == {"predicted_depth", "depth"}
    values = found["predicted_depth"]
    assert isinstance(values, torch.Tensor)
    assert np.array_equal(values.numpy(), found.result.depth.values)
    assert found.result.depth.kind == "relative_inverse"
    found.result.save(tmp_path / "out", ["npy"])
    assert np.array_equal(read_depth(tmp_path / "out.json").depth.values, values.numpy())
    values[:] = 0.0  # the caller's own
    assert found.result.depth.values.max() > 0
    for other in (path, PNG, PIXELS, picture(56, 70)):
        assert np.array_equal(pipe(other).result.depth.values, found.result.depth.values)


def test_the_picture_reaches_from_black_to_white_and_flat_depth_is_black(
    pipe: DepthEstimationPipeline,
) -> None:
    found = pipe(PIXELS)
    codes = np.asarray(found["depth"])
    assert (codes.dtype, codes.min(), codes.max()) == (np.uint8, 0, 255)
    flat = Map(np.full((4, 5), 7.0, np.float32), "relative_inverse")
    picture_of_flat = Depth(ImageResult({"depth": flat}, found.result.provenance), "np")["depth"]
    assert np.array_equal(np.asarray(picture_of_flat), np.zeros((4, 5), np.uint8))


def test_several_images_and_the_older_name(pipe: DepthEstimationPipeline) -> None:
    wanted = pipe(PIXELS)["predicted_depth"]
    for found in (
        pipe([PIXELS, PNG], batch_size=2),
        pipe((PIXELS, PNG)),
        pipe(images=[PIXELS, PNG]),
        list(pipe(iter([PIXELS, PNG]))),
        list(pipe(each for each in (PIXELS, PNG))),
    ):
        assert len(found) == 2
        assert all(torch.equal(each["predicted_depth"], wanted) for each in found)
    assert pipe([]) == []


def test_bad_calls_are_refused_with_the_reason(
    pipe: DepthEstimationPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given, options, reason in (
        (None, {}, "no image: expected a path"),
        ("https://example.com/a.jpg", {}, "fetch what a URL names first"),
        (["http://example.com/a.jpg"], {}, "fetch what a URL names first"),
        ("data:image/png;base64,!", {}, "damaged base64 text"),
        ("aGVsbG8=", {}, "aGVsbG8=: cannot be read"),
        ("data:image/png;base64,aGVsbG8=", {}, "the given bytes: "),
        ({"image": PNG}, {}, "an image of type dict"),
        (torch.zeros(3, 4, 4), {}, "an image of type Tensor"),
        (PNG, {"batch_size": 0}, "batch_size=0: expected a number, 1 or more"),
        (PNG, {"batch_size": 1.5}, "batch_size=1.5"),
        (PNG, {"num_workers": -1}, "num_workers=-1"),
        (PNG, {"timeout": "soon"}, "timeout='soon'"),
        (PNG, {"parameters": {"timeout": -1}}, "timeout=-1"),
        (PNG, {"errors": "return"}, "errors='return': expected batch_size, num_workers, timeout"),
        (PNG, {"parameters": {"size": 5}}, "parameters: size=5: expected timeout"),
    ):
        with pytest.raises(InputError, match=reason):
            pipe(given, **options)
    monkeypatch.setattr(transformers_pipeline, "_MAX_TEXT", 40)
    with pytest.raises(ImageError, match="base64 text of 100 characters: expected 40 at most"):
        pipe("data:image/png;base64," + "A" * 100)


def test_options_that_ask_for_what_happens_are_taken_and_others_refused(folder: Path) -> None:
    taken = {"device": torch.device("cpu"), "dtype": torch.float32, "use_fast": True, "token": None}
    with pipeline("depth-estimation", folder, batch_size=4, policy="buckets", **taken) as pipe:
        assert pipe(PNG)["predicted_depth"].shape == (56, 70)
    with pytest.raises(ClosedError):
        pipe(PNG)
    for options, reason in (
        ({"task": "text-generation"}, "task 'text-generation': expected depth-estimation"),
        ({"framework": "tf"}, "framework 'tf': expected pt or np"),
        ({"device": "cuda"}, "device='cuda': expected None or -1 or cpu; this project runs on"),
        ({"device": 0}, "device=0"),
        ({"torch_dtype": torch.float16}, "torch_dtype=torch.float16"),
        ({"image_processor": "x"}, "the model brings its own"),
        ({"batch_size": 0}, "batch_size=0"),
    ):
        with pytest.raises(InputError, match=reason):
            pipeline(model=folder, **options)
    with pytest.raises(TypeError, match="colour"):
        pipeline(model=folder, colour="red")


def test_names_on_the_hub_are_models_of_this_project() -> None:
    found = hub_names()
    assert set(found.values()) <= set(models())
    assert source_of(SMALL_HF) == ("vits", {})
    for name, model in (
        ("depth-anything/Depth-Anything-V2-Metric-Outdoor-Large-hf", "vitl-metric-outdoor"),
        ("depth-anything/Depth-Anything-V2-Base", "vitb"),
        ("LiheYoung/depth-anything-large-hf", "v1-vitl"),
    ):
        assert found[name] == model
    with pytest.raises(InputError, match=f"Intel/dpt-large: no folder here.*such as {SMALL_HF}"):
        pipeline(model="Intel/dpt-large")
    for kept in ("vits", "s3://a/b", "a/b/c", None, Path("a/b/c")):
        assert source_of(kept) == (kept, {})


def config_of(**changes: Any) -> dict[str, Any]:
    backbone = {"hidden_size": 192, "out_indices": [2, 3, 5, 6]}
    return {"model_type": "depth_anything", "backbone_config": backbone, **changes}


def test_a_folder_of_save_pretrained_is_its_model(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    (tmp_path / "config.json").write_text(json.dumps(config_of()))
    with pytest.raises(CheckpointError, match=r"expected model.safetensors or pytorch_model.bin"):
        source_of(tmp_path)
    weights.write_bytes(BUNDLED.read_bytes())
    assert source_of(str(tmp_path)) == ("demo", {"checkpoint": weights})
    for backbone, changes, model in (
        ({"hidden_size": 384, "out_indices": [3, 6, 9, 12]}, {}, "vits"),
        ({"hidden_size": 384, "out_indices": [9, 10, 11, 12]}, {}, "v1-vits"),
        ({"out_indices": [3, 6, 9, 12]}, {}, "vitb"),
        (
            {"hidden_size": 1024, "out_indices": [5, 12, 18, 24]},
            {"depth_estimation_type": "metric", "max_depth": 80},
            "vitl-metric-outdoor",
        ),
    ):
        text = json.dumps(config_of(backbone_config=backbone, **changes))
        (tmp_path / "config.json").write_text(text)
        assert source_of(tmp_path)[0] == model
    for text, reason in (
        ("no json", "cannot be read"),
        ("{}", "model_type None: expected 'depth_anything'"),
        (json.dumps(config_of(backbone_config=5)), "expected 'depth_anything'"),
        (json.dumps(config_of(depth_estimation_type="metric", max_depth=5)), "no model here has"),
    ):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(CheckpointError, match=reason):
            pipeline(model=tmp_path)


def test_arrays_where_torch_is_not_installed(folder: Path) -> None:
    with pipeline(model=folder, framework="np", policy="buckets") as pipe:
        values = pipe(PNG)["predicted_depth"]
    assert (type(values), values.dtype, values.shape) == (np.ndarray, np.float32, (56, 70))


@pytest.mark.long
def test_without_torch_the_same_call_gives_arrays(folder: Path) -> None:
    code = (
        "import importlib.util as u, sys\nsys.modules['torch'] = None\nreal = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else real(name, *a)\n"
        "import numpy as np\nfrom depth_anything import pipeline\n"
        f"p = pipeline('depth-estimation', {str(folder)!r}, policy='buckets')\n"
        "print(type(p(np.zeros((56, 70, 3), np.uint8))['predicted_depth']).__name__)"
    )
    done = run_python("-c", code)
    assert (done.stdout, done.returncode) == ("ndarray\n", 0), done.stderr


@pytest.mark.long
@pytest.mark.skipif(
    find_spec("transformers") is None, reason="transformers is in the CPU lane only"
)
def test_what_their_save_pretrained_writes_gives_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from depth_anything_v2.config import CONFIGS
    from tests.support.transformers_network import SIZE_PX, their_pipeline, theirs

    monkeypatch.chdir(tmp_path)
    network = theirs(CONFIGS["demo"])
    network.save_pretrained(tmp_path / "saved")
    image = picture(SIZE_PX, SIZE_PX)
    wanted = their_pipeline(network)(image)["predicted_depth"]
    with pipeline(model=tmp_path / "saved", input_size=SIZE_PX) as pipe:
        found = pipe(image)
    assert found.result.provenance.model == "demo"
    assert float((found["predicted_depth"] - wanted).abs().max() / wanted.abs().max()) <= 1e-5
