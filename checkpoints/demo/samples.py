"""Write the sample pictures of input_images/samples/ and their truth for the tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import typer

from checkpoints.demo.scenes.render import Scene, render

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "input_images" / "samples"
TRUTH = ROOT / "tests" / "data" / "samples_inverse_depth.npz"
QUALITY = 92  # JPEG

# name: (seed, kind, (height, width) px); stairs and street are kinds that training never saw
SAMPLES: dict[str, tuple[int, str, tuple[int, int]]] = {
    "hall": (3_000_002, "hall", (360, 480)),
    "park": (3_000_002, "park", (320, 480)),
    "room": (3_000_003, "room", (360, 480)),
    "shelves": (3_000_004, "shelves", (480, 360)),
    "stairs": (3_000_005, "stairs", (480, 360)),
    "street": (3_000_005, "street", (320, 480)),
}


def scene(name: str) -> Scene:
    """The scene of one sample, rendered again."""
    return render(*SAMPLES[name])


def main(
    pictures: Path = typer.Option(PICTURES, help="Where the JPEG files go."),
    truth: Path = typer.Option(TRUTH, help="Where the inverse depth goes, as .npz, float16, 1/m."),
) -> None:
    """Render the samples and write them; an older copy is replaced."""
    scenes = {name: scene(name) for name in SAMPLES}
    pictures.mkdir(parents=True, exist_ok=True)
    truth.parent.mkdir(parents=True, exist_ok=True)
    for name, made in scenes.items():
        _, data = cv2.imencode(".jpg", made.image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        _put(pictures / f"{name}.jpg", data.tobytes())
        typer.echo(str(pictures / f"{name}.jpg"))
    part = truth.with_suffix(".part")
    with part.open("wb") as stream:
        inverse = {name: made.inverse_depth.astype(np.float16) for name, made in scenes.items()}
        np.savez_compressed(stream, **inverse)
    part.replace(truth)
    typer.echo(str(truth))


def _put(path: Path, data: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.replace(path)


if __name__ == "__main__":
    typer.run(main)
