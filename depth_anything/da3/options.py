"""The options that the commands which make scenes share, listed once: upstream's, and ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from depth.command import choice_option, path_option, takes_options
from depth.errors import InputError

if TYPE_CHECKING:
    from depth.scenes.options import Options
    from depth.steps.focal import FocalAsked
    from serve.scenes.asked import SceneAsked

DEFAULT_MODEL = "da3-small"
EAGER, OPENVINO = "eager", "openvino"
BACKEND_URL = "http://localhost:8008"
FEATURES = "feat_vis"  # the format that needs --export-feat
GAUSSIANS = frozenset({"gs_ply", "gs_video"})  # formats that need Gaussians

_METHODS = ("upper_bound_resize", "upper_bound_crop", "lower_bound_resize", "lower_bound_crop")
_STRATEGIES = ("saddle_balanced", "saddle_sim_range", "first", "middle")

MODEL_DIR = typer.Option(
    DEFAULT_MODEL,
    "--model-dir",
    "--model",
    envvar="DA3_MODEL_DIR",
    help="A model's name, a repository of the model hub, or a folder with config.json and "
    "model.safetensors. Upstream's default is da3nested-giant-large: 6.8 GB, and not for "
    "commercial use.",
)
DEVICE = typer.Option("auto", "--device", help="auto or cpu, which are the same.")
TARGET = choice_option(
    None,
    (EAGER, OPENVINO, "onnx", "torchscript"),
    "What runs the network. eager: torch, without compiling. By default openvino: each size and "
    "number of views is compiled once, a minute or two, checked, and kept. Features and Gaussians "
    "are eager.",
)
PRECISION = choice_option("fp32", ("fp32", "bf16"), "bf16 is faster, and of openvino only.")
ARTIFACTS = path_option(Path("artifacts"), "Where compiled programs are kept.")
ACCEPT = typer.Option(
    False, "--accept-licence", help="You accept the licence of weights that are to be downloaded."
)


@dataclass(frozen=True)
class SceneOptions:
    """What a user asks of a scene. The defaults are typer's: a command gives every value."""

    model_dir: str = MODEL_DIR
    target: Optional[str] = TARGET
    precision: str = PRECISION
    artifacts: Path = ARTIFACTS
    device: str = DEVICE
    accept_licence: bool = ACCEPT
    export_dir: Optional[Path] = path_option(
        None, "Folder for the files. By default outputs/outputs_YYYYMMDDHHMMSS."
    )
    export_format: str = typer.Option(
        "glb", help="Formats joined by -, as mini_npz-glb-colmap: depth/scenes/README.md has them."
    )
    overwrite: bool = typer.Option(
        False,
        "--overwrite/--no-overwrite",
        "--auto-cleanup/--no-auto-cleanup",
        help="Replace a scene that is in the folder. Only files that scene.json lists are removed.",
    )
    process_res: int = typer.Option(
        504, min=14, max=4096, help="Side of the network's input in px: less takes less memory."
    )
    process_res_method: str = choice_option(
        "upper_bound_resize", _METHODS, "upper_bound: of the long side. lower_bound: of the short."
    )
    use_ray_pose: bool = typer.Option(
        False,
        "--use-ray-pose/--no-use-ray-pose",
        help="Cameras from the network's rays, not from its camera decoder: slower.",
    )
    ref_view_strategy: str = choice_option(
        "saddle_balanced", _STRATEGIES, "How the view that others are placed by is chosen."
    )
    export_feat: str = typer.Option(
        "", help="Blocks whose features the format feat_vis shows, such as 5,11."
    )
    conf_thresh_percentile: float = typer.Option(
        40.0, min=0, max=100, help="Pixels less sure than this percentile become no points."
    )
    num_max_points: int = typer.Option(
        1_000_000, min=1, help="How many points GLB and PLY have at most."
    )
    show_cameras: bool = typer.Option(
        True, "--show-cameras/--no-show-cameras", help="Whether GLB shows the cameras."
    )
    feat_vis_fps: int = typer.Option(
        15, min=1, max=240, help="Pictures per second of the video of feat_vis."
    )
    window: Optional[int] = typer.Option(
        None,
        min=2,
        help="For long videos: how many views the network sees at once. Windows overlap, share one "
        "space, and are exported one by one, below windows/.",
    )
    overlap: Optional[int] = typer.Option(
        None, min=1, help="Views that a window shares with the one before. By default half."
    )
    focal_px: Optional[float] = typer.Option(
        None,
        help="Focal length in px of the image, for models of one image (da3metric-large, "
        "da3mono-large). Others find it themselves.",
    )
    fov_deg: Optional[float] = typer.Option(
        None, help="Horizontal angle of view in degrees, for the same models."
    )
    use_backend: bool = typer.Option(
        False,
        "--use-backend/--no-use-backend",
        help="Let a backend that runs make the scene; it reads and writes the same disk.",
    )
    backend_url: str = typer.Option(BACKEND_URL, help="Where that backend answers.")
    wait: bool = typer.Option(
        True, "--wait/--no-wait", help="Wait for the backend and show its progress."
    )

    def check(self) -> None:
        """Raise InputError, before any work, for values that do not go together."""
        from depth.scenes.export import formats_named

        check_device(self.device)
        formats = formats_named(self.export_format)
        if bool(self.blocks) != (FEATURES in formats):
            raise InputError("--export-feat and the format feat_vis need each other: give both")
        if self.window is None and self.overlap is not None:
            raise InputError("--overlap is of windows: give --window too, or leave it out")
        if self.window is not None and self.use_backend:
            raise InputError(
                "--window: a backend makes one scene at a time; leave out --use-backend"
            )
        self.options()
        self.focal()
        self.asked((), None, True)

    @property
    def runs_on(self) -> str:
        """The target: by default eager only for what programs do not give."""
        return self.target or (EAGER if self.blocks or self.gaussians else OPENVINO)

    @property
    def gaussians(self) -> bool:
        """Whether a format needs Gaussians."""
        return not GAUSSIANS.isdisjoint(self.export_format.split("-"))

    @property
    def blocks(self) -> tuple[int, ...]:
        """The numbers of --export-feat. Raises InputError for what is no number."""
        words = [word.strip() for word in self.export_feat.split(",")]
        if not all(word.isascii() and word.isdigit() for word in words if word):
            raise InputError(
                f"--export-feat {self.export_feat!r}: expected numbers of blocks, such as 5,11"
            )
        return tuple(int(word) for word in words if word)

    def options(self) -> Options:
        """Of the export."""
        from depth.scenes.options import Options

        return Options(
            percentile=self.conf_thresh_percentile,
            points=self.num_max_points,
            cameras=self.show_cameras,
            fps=self.feat_vis_fps,
        )

    def focal(self) -> FocalAsked:
        """The camera of the image by these options. Raises InputError for what no camera has."""
        from depth.steps.focal import FocalAsked

        return FocalAsked(self.focal_px, self.fov_deg)

    def asked(self, names: tuple[str, ...], cameras: Any, to_given: bool) -> SceneAsked:
        """Of the scene. `to_given`: depth is scaled to the given cameras."""
        from serve.scenes.asked import SceneAsked

        return SceneAsked(
            names=names,
            process_res=self.process_res,
            method=self.process_res_method,
            strategy=self.ref_view_strategy,
            ray_pose=self.use_ray_pose,
            cameras=cameras,
            align_to_given=to_given,
            blocks=self.blocks,
            gaussians=self.gaussians,
        )


takes_scene_options = takes_options(SceneOptions)


def check_device(device: str) -> None:
    """Raise InputError for a device that is none of ours, with what to use."""
    if device in ("auto", "cpu"):
        return
    if device.partition(":")[0] in ("cuda", "mps", "xpu"):
        raise InputError(
            f"--device {device}: nothing here runs on a GPU; leave it out for the CPU. For AWS "
            "Inferentia compile the model: `python main.py compile build --target inf2 --help`"
        )
    raise InputError(f"--device {device}: expected auto or cpu")
