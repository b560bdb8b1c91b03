"""The same calls on the depth pipeline of `transformers` and on ours: the same answers.

Both have the same random weights. Values are compared at 518x518 px, where neither resizes.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset

from compile.build.build import build
from compile.build.request import Request
from depth.errors import InputError
from depth.weights.checkpoint import Checkpoint
from depth_anything import pipeline
from depth_anything_v2.config import model_row
from depth_anything_v2.layouts import to_ours
from tests.support.hostile import encoded, picture
from tests.support.models import TINY
from tests.support.transformers_network import SIZE_PX, their_pipeline, theirs

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        find_spec("transformers") is None,
        reason="transformers is in the CPU lane only: its releases want a newer torch",
    ),
]

logger = logging.getLogger(__name__)
LIMIT = 1e-5  # of values up to 4
SQUARE = (SIZE_PX, SIZE_PX)


class Pair(NamedTuple):
    theirs: Any
    ours: Any


@pytest.fixture(name="pair", scope="module")
def pair_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    network = theirs(TINY)
    checkpoint = Checkpoint("tiny.safetensors", "0" * 64, "none", to_ours(network.state_dict()))
    request = Request(model_row("tiny", TINY), checkpoint, "openvino", "fp32", [SQUARE])
    folder = build(request, tmp_path_factory.mktemp("artifacts"))
    with pipeline("depth-estimation", model=str(folder)) as ours:
        yield Pair(their_pipeline(network), ours)


def pil(mode: str = "RGB", seed: int = 0) -> Image.Image:
    return picture(*SQUARE, seed=seed).convert(mode)


@pytest.fixture(name="files", scope="module")
def files_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for mode in ("RGB", "L", "LA", "RGBA", "P", "1"):
        (folder / f"{mode}.png").write_bytes(encoded(pil(mode), "PNG"))
    (folder / "b.png").write_bytes(encoded(pil(seed=1), "PNG"))
    turned = Image.Exif()
    turned[0x0112] = 6
    (folder / "turned.png").write_bytes(encoded(pil(), "PNG", exif=turned))
    (folder / "a.jpg").write_bytes(encoded(pil(), "JPEG", quality=95))
    (folder / "text.png").write_text("no image")
    (folder / "cut.png").write_bytes(encoded(pil(), "PNG")[:-2000])
    return folder


class Numbered(Dataset[Any]):
    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


class Endless(IterableDataset[Any]):
    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


def keyed(items: list[Any]) -> Any:
    from transformers.pipelines.pt_utils import KeyDataset

    return KeyDataset(Numbered([{"image": item} for item in items]), "image")


def text_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


class Call(NamedTuple):
    inputs: Callable[[Path], Any]  # from the folder of files, anew for each pipeline
    options: dict[str, Any] = {}


CALLS: dict[str, Call] = {
    "path": Call(lambda files: str(files / "RGB.png")),
    "path of gray": Call(lambda files: str(files / "L.png")),
    "path of gray with alpha": Call(lambda files: str(files / "LA.png")),
    "path with alpha": Call(lambda files: str(files / "RGBA.png")),
    "path of a palette": Call(lambda files: str(files / "P.png")),
    "path of black and white": Call(lambda files: str(files / "1.png")),
    "path of a turned image": Call(lambda files: str(files / "turned.png")),
    "path of a JPEG": Call(lambda files: str(files / "a.jpg")),
    "PIL": Call(lambda _: pil()),
    "PIL gray": Call(lambda _: pil("L")),
    "PIL gray with alpha": Call(lambda _: pil("LA")),
    "PIL with alpha": Call(lambda _: pil("RGBA")),
    "PIL palette": Call(lambda _: pil("P")),
    "PIL black and white": Call(lambda _: pil("1")),
    "PIL CMYK": Call(lambda _: pil("CMYK")),
    "PIL turned, not decoded yet": Call(lambda files: Image.open(files / "turned.png")),
    "data URI": Call(lambda files: f"data:image/png;base64,{text_of(files / 'L.png')}"),
    "base64 text": Call(lambda files: text_of(files / "L.png")),
    "timeout": Call(lambda files: str(files / "b.png"), {"timeout": 5.0}),
    "parameters": Call(lambda files: str(files / "b.png"), {"parameters": {"timeout": 5.0}}),
    "list": Call(lambda files: [str(files / "RGB.png"), str(files / "b.png")]),
    "list of one": Call(lambda _: [pil()]),
    "empty list": Call(lambda _: []),
    "list of all kinds": Call(lambda files: [pil("L"), str(files / "b.png"), pil("RGBA")]),
    "list in batches": Call(lambda _: [pil(seed=seed) for seed in (1, 0, 2)], {"batch_size": 2}),
    "list in a batch": Call(lambda _: [pil(), pil(seed=1)], {"batch_size": 8}),
    "list with workers": Call(lambda _: [pil(), pil(seed=1)], {"num_workers": 0}),
    "generator": Call(lambda files: (str(files / name) for name in ("b.png", "L.png"))),
    "generator in batches": Call(lambda _: (pil(seed=n) for n in (1, 0, 2)), {"batch_size": 2}),
    "empty generator": Call(lambda _: (pil() for _ in ())),
    "data set": Call(lambda _: Numbered([pil(seed=1), pil()])),
    "data set in batches": Call(
        lambda _: Numbered([pil(seed=seed) for seed in (1, 0, 2)]), {"batch_size": 2}
    ),
    "data set of a key": Call(lambda files: keyed([str(files / "b.png"), pil()])),
    "data set without a length": Call(lambda _: Endless([pil(seed=1), pil()])),
}
BAD: dict[str, Call] = {
    "no file": Call(lambda files: str(files / "none.png")),
    "nothing": Call(lambda _: None),
    "empty text": Call(lambda _: ""),
    "no image": Call(lambda files: str(files / "text.png")),
    "cut": Call(lambda files: str(files / "cut.png")),
    "a number": Call(lambda _: 5),
    "floats": Call(lambda _: np.zeros((4, 4, 3), np.float32)),
    "no base64": Call(lambda _: "data:image/png;base64,!"),
    "no image in base64": Call(lambda _: "data:image/png;base64,aGVsbG8="),
    "one of a list": Call(lambda files: [pil(), str(files / "none.png")]),
    "one of a generator": Call(lambda files: (each for each in (pil(), str(files / "none.png")))),
}


def answers(pipe: Any, call: Call, files: Path) -> Any:
    """What a call gives; a list of what an iterator gives."""
    found = pipe(call.inputs(files), **call.options)
    return found if isinstance(found, (dict, list)) else list(found)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_gives_the_same(name: str, pair: Pair, files: Path) -> None:
    wanted = answers(pair.theirs, CALLS[name], files)
    found = answers(pair.ours, CALLS[name], files)
    assert isinstance(found, type(wanted))
    if isinstance(wanted, dict):
        wanted, found = [wanted], [found]
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted):
        assert list(one) == list(other) == ["predicted_depth", "depth"]
        values, reference = one["predicted_depth"], other["predicted_depth"]
        assert type(values) is type(reference) is torch.Tensor
        assert (values.shape, values.dtype) == (reference.shape, reference.dtype)
        assert reference.std() > 0.1, "a flat picture would prove nothing"
        difference = float((values - reference).abs().max())
        logger.info("%s: differs by %.2e at most", name, difference)
        assert difference <= LIMIT
        assert type(one["depth"]) is type(other["depth"])
        assert (one["depth"].mode, one["depth"].size) == (other["depth"].mode, other["depth"].size)
        levels = np.asarray(one["depth"]).astype(int) - np.asarray(other["depth"])
        assert np.abs(levels).max() <= 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # they leave it open
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_image_is_refused_by_both(name: str, pair: Pair, files: Path) -> None:
    with pytest.raises(Exception, match=r"."):
        answers(pair.theirs, BAD[name], files)
    with pytest.raises(InputError):
        answers(pair.ours, BAD[name], files)


def test_the_images_before_a_bad_one_are_given_by_both(pair: Pair, files: Path) -> None:
    for pipe in pair:
        taken = iter(pipe(BAD["one of a generator"].inputs(files)))
        assert next(taken)["predicted_depth"].shape == SQUARE
        with pytest.raises(ValueError, match=r"none\.png"):
            next(taken)


def test_a_data_set_has_a_length_and_can_be_read_twice(pair: Pair) -> None:
    for pipe in pair:
        found = pipe(Numbered([pil(), pil(seed=1)]))
        assert len(found) == 2
        first, second = list(found), list(found)
        for one, other in zip(first, second):
            assert torch.equal(one["predicted_depth"], other["predicted_depth"])
        with pytest.raises(TypeError):
            len(pipe(pil() for _ in range(2)))


def test_images_of_another_size_come_back_at_their_size(pair: Pair) -> None:
    small = pil().resize((200, 200))
    for pipe in pair:
        found = pipe(small)
        assert (found["predicted_depth"].shape, found["depth"].size) == ((200, 200), (200, 200))
