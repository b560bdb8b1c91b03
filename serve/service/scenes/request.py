"""What a caller asks of a scene: upstream's fields and defaults, every value checked."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from depth.errors import InputError
from depth.scenes.export import formats_named
from depth.scenes.options import Options
from depth.steps.cameras import Cameras, given_cameras
from depth.steps.reference_view import SADDLE_BALANCED
from serve.scenes.asked import MOST_VIEWS, SceneAsked
from serve.service.failures import RequestError

MOST_PX = 4096  # of process_res
MOST_POINTS = 50_000_000

_NOT_HERE = ("feat_vis", "gs_ply", "gs_video")  # formats of what compiled programs do not give
_MOST_TOLD = 20  # errors of a body
_Row = Annotated[list[float], Field(min_length=3, max_length=4)]
_Matrix = Annotated[list[_Row], Field(min_length=3, max_length=4)]
_Matrices = Optional[Annotated[list[_Matrix], Field(max_length=MOST_VIEWS)]]
_Path = Annotated[str, Field(min_length=1, max_length=4096)]


class SceneOptions(BaseModel):
    """What a caller may choose, whether its images are on the server or in the request."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=False)

    export_dir: Optional[_Path] = Field(None, description="In the root; None: only the task's own.")
    export_format: str = Field("mini_npz-glb", max_length=200, description="Names joined by `-`.")
    extrinsics: _Matrices = Field(None, description="[S,4,4] or [S,3,4], world to camera.")
    intrinsics: _Matrices = Field(None, description="[S,3,3] in px of the images.")
    process_res: int = Field(504, ge=1, le=MOST_PX, description="Side in px for the network.")
    process_res_method: str = Field("upper_bound_resize", max_length=50)
    export_feat_layers: list[int] = Field([], max_length=0, description="Features are not drawn.")
    align_to_input_ext_scale: bool = True
    infer_gs: bool = Field(False, description="Gaussians are not computed.")
    use_ray_pose: bool = Field(False, description="Cameras from rays: slower.")
    ref_view_strategy: str = Field(SADDLE_BALANCED, max_length=50)
    conf_thresh_percentile: float = Field(40.0, ge=0, le=100)
    num_max_points: int = Field(1_000_000, ge=1, le=MOST_POINTS)
    show_cameras: bool = True
    filter_black_bg: bool = Field(False, description="Nearly black pixels become no points.")
    filter_white_bg: bool = Field(False, description="Nearly white pixels become no points.")
    video_fps: float = Field(1.0, gt=0, le=60, description="Frames per second of a video.")
    feat_vis_fps: int = Field(15, ge=1, le=240)

    def check(self, views: int) -> None:
        """Raise RequestError (422) for what a scene of this number of views cannot have."""
        if self.infer_gs:
            raise refused("infer_gs", "Gaussians are not computed here; leave it out")
        wrong = set(self.export_format.split("-")).intersection(_NOT_HERE)
        if wrong:
            raise refused("export_format", f"{min(wrong)}: compiled programs do not give it")
        try:
            self.formats  # noqa: B018 - raises
            self.options()
            self.asked(views)
        except InputError as error:
            raise refused("", str(error)) from error

    @property
    def formats(self) -> tuple[str, ...]:
        """Raises InputError."""
        return formats_named(self.export_format)

    def options(self) -> Options:
        """Of the export."""
        return Options(
            percentile=self.conf_thresh_percentile,
            points=self.num_max_points,
            cameras=self.show_cameras,
            black=not self.filter_black_bg,
            white=not self.filter_white_bg,
            fps=self.feat_vis_fps,
        )

    def asked(self, views: int, names: tuple[str, ...] = ()) -> SceneAsked:
        """Of the pipeline. `names`: of the views. Raises InputError."""
        return SceneAsked(
            names=names,
            process_res=self.process_res,
            method=self.process_res_method,
            strategy=self.ref_view_strategy,
            ray_pose=self.use_ray_pose,
            cameras=self._cameras(views),
            align_to_given=self.align_to_input_ext_scale,
        )

    def _cameras(self, views: int) -> Optional[Cameras]:
        if self.extrinsics is None and self.intrinsics is None:
            return None
        if self.extrinsics is None or self.intrinsics is None:
            raise InputError("extrinsics and intrinsics: the network needs both, or none")
        return given_cameras(_array(self.extrinsics), _array(self.intrinsics), views)


class InferenceRequest(SceneOptions):
    """The body of `POST /inference` of a caller whose images are on the server."""

    image_paths: list[_Path] = Field(
        min_length=1, max_length=MOST_VIEWS, description="In the root of the service."
    )


def parsed(kind: type[SceneOptions], text: bytes) -> Any:
    """A body of JSON. Raises RequestError (422) whose `detail` lists what is wrong."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        told = [{**each, "loc": ["body", *each["loc"]]} for each in found[:_MOST_TOLD]]
        where = ".".join(str(part) for part in found[0]["loc"][:6])
        raise RequestError(422, f"{where}: {found[0]['msg']}"[:500], detail=told) from error


def refused(where: str, message: str) -> RequestError:
    """422 in the form that a list of errors has."""
    loc = ["body", where] if where else ["body"]
    told = [{"type": "value_error", "loc": loc, "msg": message}]
    return RequestError(422, f"{where}: {message}" if where else message, detail=told)


def _array(matrices: list[Any]) -> Any:
    """Raises InputError for rows of several lengths."""
    try:
        return np.array(matrices, np.float32)
    except ValueError as error:
        raise InputError("matrices whose rows have several lengths: make all alike") from error
