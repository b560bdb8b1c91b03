"""`python main.py da3`: upstream's commands and flags on our programs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from depth.command import choice_option, command_line
from depth_anything.da3.options import SceneOptions, takes_scene_options
from depth_anything.da3.servers import COMMANDS

if TYPE_CHECKING:
    from depth_anything.da3.folder import SceneFolder
    from depth_anything.da3.sources import Views

app = command_line(no_args_is_help=True)

_MOST_VIEWS = typer.Option(
    64, min=1, max=4096, help="More views than this are refused: memory grows with their square."
)
_FPS = typer.Option(
    1.0, help="Frames per second to take: every n-th frame, n = the video's rate / fps."
)
_EXTENSIONS = typer.Option("png,jpg,jpeg", help="Suffixes of the images, joined by commas.")
_SPARSE = typer.Option(
    "", help="Folder of the model below sparse/. By default sparse/ or sparse/0."
)
_TO_GIVEN = typer.Option(
    True,
    "--align-to-input-ext-scale/--no-align-to-input-ext-scale",
    help="Scale depth to the cameras of the model. Else these are moved to the depth.",
)
_LEVELS = {"ERROR": logging.ERROR, "WARN": logging.WARNING}
_LEVELS.update(INFO=logging.INFO, DEBUG=logging.DEBUG)


@app.callback()
def _da3(
    log_level: str = choice_option(
        "WARN", _LEVELS, "What is logged on stderr.", envvar="DA3_LOG_LEVEL"
    ),
) -> None:
    """Depth, cameras and points of images, videos and COLMAP models.

    The commands and flags of upstream's `da3`. One call is one scene: all its views share a space.

    \b
    python main.py da3 auto room.mp4 --fps 2 --export-format glb-colmap
    python main.py da3 images photos/room --export-dir out --export-format ply
    """
    logging.getLogger().setLevel(_LEVELS[log_level])


@app.command()
@takes_scene_options
def auto(
    options: SceneOptions,
    input_path: Path = typer.Argument(
        help="An image, a folder of images, a video, or a COLMAP folder (images/ and sparse/)."
    ),
    fps: float = _FPS,
    sparse_subdir: str = _SPARSE,
    align_to_input_ext_scale: bool = _TO_GIVEN,
    image_extensions: str = _EXTENSIONS,
    most_views: int = _MOST_VIEWS,
) -> None:
    """Find out what a path is, and make its scene.

    Exit code 0 all done, 1 failed, 2 the input or an option is wrong.
    """
    from depth.console import say
    from depth_anything.da3 import sources

    kind = sources.kind_of(input_path)
    say(f"{input_path.name or input_path}: {kind}")
    if kind == sources.IMAGE:
        image(**vars(options), image_path=input_path)
    elif kind == sources.FOLDER:
        images(
            **vars(options),
            images_dir=input_path,
            image_extensions=image_extensions,
            most_views=most_views,
        )
    elif kind == sources.VIDEO:
        video(**vars(options), video_path=input_path, fps=fps, most_views=most_views)
    else:
        colmap(
            **vars(options),
            colmap_dir=input_path,
            sparse_subdir=sparse_subdir,
            align_to_input_ext_scale=align_to_input_ext_scale,
            most_views=most_views,
        )


@app.command()
@takes_scene_options
def image(
    options: SceneOptions, image_path: Path = typer.Argument(help="Path of the image.")
) -> None:
    """Depth, camera and points of one image.

    Models of one image (da3metric-large, da3mono-large) know no camera: its lens comes from
    --focal-px, --fov-deg or the image's EXIF data, or 60 degrees are assumed, and said.
    """
    from depth_anything.da3 import sources
    from depth_anything.da3.running import make

    make(options, 1, lambda _folder, _most: sources.image_views(image_path))


@app.command()
@takes_scene_options
def images(
    options: SceneOptions,
    images_dir: Path = typer.Argument(help="Folder of images; folders in it are left out."),
    image_extensions: str = _EXTENSIONS,
    most_views: int = _MOST_VIEWS,
) -> None:
    """The images of a folder as one scene, sorted by name."""
    from depth_anything.da3 import sources
    from depth_anything.da3.running import make

    make(
        options,
        most_views,
        lambda _folder, _most: sources.folder_views(images_dir, image_extensions),
    )


@app.command()
@takes_scene_options
def video(
    options: SceneOptions,
    video_path: Path = typer.Argument(help="Path of the video."),
    fps: float = _FPS,
    most_views: int = _MOST_VIEWS,
) -> None:
    """Frames of a video as one scene. They stay in the folder, below input_images/.

    Needs PyAV, the extra `video`. Frames are upright, as the camera recorded it.
    """
    from depth_anything.da3 import sources
    from depth_anything.da3.running import make

    def views(folder: SceneFolder, most: int) -> Views:
        return sources.video_views(video_path, fps, folder, most)

    make(options, most_views, views)


@app.command()
@takes_scene_options
def colmap(
    options: SceneOptions,
    colmap_dir: Path = typer.Argument(help="Folder with images/ and sparse/."),
    sparse_subdir: str = _SPARSE,
    align_to_input_ext_scale: bool = _TO_GIVEN,
    most_views: int = _MOST_VIEWS,
) -> None:
    """Depth for the cameras of a COLMAP model, binary or text.

    Distortion is undone for every camera model of COLMAP but panoramas: the images are written
    again, below input_images/. A model is refused if that cannot be done.
    """
    from depth_anything.da3 import sources
    from depth_anything.da3.running import make

    def views(folder: SceneFolder, _most: int) -> Views:
        return sources.colmap_views(colmap_dir, sparse_subdir, folder)

    make(options, most_views, views, align_to_input_ext_scale)


for _command in COMMANDS:
    app.command()(_command)
