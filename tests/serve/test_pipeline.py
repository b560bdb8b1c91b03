"""Depth from Python: the same numbers as the other front ends, and reasons for refusals."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from depth.artifact.manifest import read_artifact
from depth.errors import ArtifactError, ImageError, InputError
from depth.images.given import hold
from depth.images.read import decode_image
from depth.maps.files import read_depth
from depth.steps.focal import FocalAsked
from depth.store.catalogue import find
from depth.store.folder import open_location
from depth.store.promote import promote
from depth.store.push import push
from serve import backend
from serve.engine import Engine
from serve.errors import NoProgramError
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.library import Library
from serve.pipeline import RETURN, DepthPipeline
from serve.shapes import BUCKETS
from tests.support.engines import Programs
from tests.support.fresh_python import run_python
from tests.support.hostile import encoded, picture
from tests.support.programs import make_artifact

PNG = encoded(picture(56, 70), "PNG")
PIXELS = np.asarray(picture(56, 70))


@pytest.fixture(name="folder", scope="module")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_artifact(tmp_path_factory.mktemp("artifacts")).folder


@pytest.fixture(name="pipeline", scope="module")
def pipeline_fixture(folder: Path) -> Iterator[DepthPipeline]:
    with DepthPipeline(folder, policy=BUCKETS) as pipeline:
        yield pipeline


def test_every_form_of_an_image_gives_the_numbers_of_the_engine_and_the_folder_job(
    pipeline: DepthPipeline, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "in" / "a.png"
    path.parent.mkdir()
    path.write_bytes(PNG)
    with Engine(Library([make_artifact(tmp_path / "again")]), BUCKETS) as engine:
        run_folder(engine, FolderJob(path.parent, tmp_path / "out", formats=["npy"]))
        wanted = engine.result(decode_image(PNG, "a.png"))
    of_job = read_depth(tmp_path / "out" / "a.json")
    bgr = np.ascontiguousarray(PIXELS[..., ::-1])
    with DepthPipeline([folder], policy=BUCKETS, colour_order="bgr") as other:
        found = [pipeline(each) for each in (path, str(path), PNG, bytearray(PNG), PIXELS)]
        found += [pipeline(picture(56, 70)), other(bgr)]
    for result in found:
        assert np.array_equal(result.depth.values, wanted.depth.values)
        assert np.array_equal(result.depth.values, of_job.depth.values)
        assert (result.provenance, result.focal) == (wanted.provenance, None)
    assert found[0].source["path"] == str(path)
    assert found[0].source["sha256"] == decode_image(PNG, "a.png").sha256


def test_pil_images_of_all_modes_are_read_as_their_files(pipeline: DepthPipeline) -> None:
    rgb = picture(56, 70)
    for mode in ("L", "LA", "RGBA", "P", "1"):
        image = rgb.convert(mode)
        result = pipeline(image)
        of_file = pipeline(encoded(image, "PNG"))
        assert np.array_equal(result.depth.values, of_file.depth.values), mode
        assert ("alpha channel ignored" in result.source["notes"]) == ("A" in mode)
    deep = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    assert np.array_equal(pipeline(deep).depth.values, pipeline(encoded(deep, "PNG")).depth.values)


def test_pil_images_are_turned_upright_and_keep_their_focal_length(
    pipeline: DepthPipeline,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA405] = 28  # mm, of a film of 35 mm
    data = encoded(picture(70, 56), "PNG", exif=exif)
    opened = Image.open(io.BytesIO(data))
    assert pipeline(opened).depth.values.shape == (56, 70)
    assert np.array_equal(pipeline(opened).depth.values, pipeline(data).depth.values)
    focal_px = decode_image(data, "a.png").header.focal_px
    assert focal_px
    assert hold(opened).open().header.focal_px == focal_px


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"/nowhere/b.jpg"


HOSTILE: dict[str, tuple[Any, str]] = {
    "no file": ("/nowhere/a.jpg", r"/nowhere/a.jpg: cannot be read \(No such file"),
    "a folder": ("/", "a folder"),
    "a URL": ("https://example.com/a.jpg", "expected a path; fetch what a URL names first"),
    "a path of bytes": (BytesPath(), "/nowhere/b.jpg: cannot be read"),
    "a zero byte": ("a\0.jpg", "expected a path"),
    "no image": (b"hello", "the given bytes: "),
    "nothing": (b"", r"empty \(0 bytes\)"),
    "zero size": (np.zeros((0, 5, 3), np.uint8), r"uint8 \(0, 5, 3\): expected uint8 \[H,W,3\]"),
    "floats": (np.zeros((4, 4, 3), np.float32), "an array float32"),
    "gray": (np.zeros((4, 4), np.uint8), r"expected uint8 \[H,W,3\], RGB"),
    "four channels": (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\)"),
    "too many pixels": (
        np.broadcast_to(np.uint8(0), (20_000, 20_000, 3)),
        "the limit is 100 megapixels",
    ),
    "floats of PIL": (Image.new("F", (4, 4)), "mode F: expected 8 or 16 bits"),
    "no pixels of PIL": (Image.new("RGB", (0, 4)), "a size of 0x4 px"),
    "a number": (5, "an image of type int: expected a path"),
    "an iterator": (iter([PNG]), "`stream` takes iterators"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_image_is_refused_with_the_reason(name: str, pipeline: DepthPipeline) -> None:
    given, reason = HOSTILE[name]
    with pytest.raises(InputError, match=reason):
        pipeline(given)
    refused, done = pipeline([given, PNG], errors=RETURN)
    assert isinstance(refused, InputError)
    assert done.depth.values.shape == (56, 70)


def test_a_damaged_pil_image_is_refused(pipeline: DepthPipeline) -> None:
    cut = Image.open(io.BytesIO(encoded(picture(200, 200), "JPEG")[:-2000]))
    with pytest.raises(ImageError, match="a PIL image cannot be decoded: image file is truncated"):
        pipeline(cut)


def test_an_error_is_raised_or_stands_in_its_place(pipeline: DepthPipeline) -> None:
    given = [PNG, b"no", PNG]
    first, second, third = pipeline(given, errors=RETURN)
    assert isinstance(second, ImageError)
    assert np.array_equal(first.depth.values, third.depth.values)
    assert isinstance(pipeline(b"no", errors=RETURN), ImageError)
    with pytest.raises(ImageError):
        pipeline(given)
    results = pipeline.stream(given)
    next(results)
    with pytest.raises(ImageError):
        next(results)

    def broken() -> Iterator[bytes]:
        yield PNG
        raise KeyError("the caller's own")

    with pytest.raises(KeyError):
        list(pipeline.stream(broken(), errors=RETURN))


def test_an_image_without_a_program_fails_alone(folder: Path) -> None:
    with DepthPipeline(folder) as pipeline:
        assert isinstance(pipeline(PNG, errors=RETURN), NoProgramError)


def test_a_result_saves_itself(pipeline: DepthPipeline, tmp_path: Path) -> None:
    result = pipeline(PIXELS)
    paths = result.save(tmp_path / "x.y", ("npy", "png"))
    assert [path.name for path in paths] == ["x.y.npy", "x.y.png", "x.y.json"]
    again = read_depth(tmp_path / "x.y.json")
    assert np.array_equal(again.depth.values, result.depth.values)
    assert again.provenance == result.provenance


def test_options_are_those_of_the_engine(folder: Path) -> None:
    options = {"preprocess": "fast", "output_size": "model", "policy": BUCKETS}
    large = encoded(picture(224, 280), "JPEG", quality=95)
    with DepthPipeline(folder, focal_px=100.0, remark="mine", **options) as pipeline:
        result = pipeline(large)
        assert pipeline.stage.engine.focal == FocalAsked(100.0)
    assert result.depth.values.shape == (56, 70)
    made = result.provenance
    assert (made.preprocess_mode, made.output_size, made.shape_policy) == ("fast", "model", BUCKETS)
    assert result.source["notes"] == ["decoded at 1/2 of its size", "mine"]


def test_an_image_at_a_time_has_the_whole_cpu(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for options, streams in (({}, 2), ({"one_at_a_time": True}, 1)):
        programs = Programs()
        monkeypatch.setattr(backend, "open_runtime", programs)
        with DepthPipeline(folder, policy=BUCKETS, **options) as pipeline:
            assert len(pipeline([PNG, PNG])) == 2
        assert programs.streams == streams


def test_an_alias_names_the_artifact_of_a_store(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "store"
    place.mkdir()
    names = {"alias": "vits/cpu/production", "folder": tmp_path / "here", "policy": BUCKETS}
    store = open_location(str(place), None)
    push(store, read_artifact(folder))
    promote(store, find(store, folder.name), names["alias"])
    with DepthPipeline(str(place), **names) as pipeline:
        assert pipeline(PNG).provenance.artifact == read_artifact(folder).identity
    assert (tmp_path / "here" / folder.name).is_dir()


def test_sources_and_options_that_cannot_be_are_refused(folder: Path, tmp_path: Path) -> None:
    for arguments, options, reason in (
        (folder, {"colour_order": "gbr"}, "colour order 'gbr': expected rgb or bgr"),
        (folder, {"policy": "none"}, "no shape policy"),
        (folder, {"focal_px": -1.0}, "focal length"),
        ("s3://bucket/place", {}, "a store; name an artifact in it with alias="),
        ([], {}, "no artifact: expected a folder"),
    ):
        with pytest.raises(InputError, match=reason):
            DepthPipeline(arguments, **options)
    with pytest.raises(ArtifactError):
        DepthPipeline(tmp_path / "nothing")
    with DepthPipeline(folder, policy=BUCKETS) as pipeline:
        for options, reason in (({"errors": "no"}, "errors 'no'"), ({"deadline_s": 0}, "deadline")):
            with pytest.raises(InputError, match=reason):
                pipeline(PNG, **options)
            with pytest.raises(InputError, match=reason):
                pipeline.stream([PNG], **options)


@pytest.mark.long
@pytest.mark.parametrize("target", ["openvino", "onnx"])
def test_serving_from_python_needs_no_torch_and_no_close(target: str, tmp_path: Path) -> None:
    folder = make_artifact(tmp_path, target).folder
    code = (
        "import sys\nsys.modules['torch'] = None\nimport numpy as np\n"
        "from depth_anything import DepthPipeline\n"
        f"r = DepthPipeline({str(folder)!r}, policy='buckets')(np.zeros((56, 70, 3), np.uint8))\n"
        "print(r.depth.values.shape)"
    )
    done = run_python("-c", code)
    assert (done.stdout, done.returncode) == ("(56, 70)\n", 0), done.stderr
