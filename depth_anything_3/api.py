"""Upstream's Python API on our networks: `from depth_anything_3.api import DepthAnything3`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import torch
from torch import Tensor, nn

from depth.errors import CheckpointError, InputError
from depth.family import UNTRAINED
from depth.scenes.options import DEFAULT, Options
from depth.steps.cameras import given_cameras
from depth.weights.checkpoint import read_checkpoint
from depth.weights.registry import by_sha256
from depth.weights.wrappings import unwrapped
from depth_anything_3.anyview.config import ANY_VIEW_MODELS, NESTED_MODELS
from depth_anything_3.anyview.folder import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    AnyView,
    built,
    model_name,
)
from depth_anything_3.anyview.layouts import load_nested
from depth_anything_3.anyview.layouts import load_weights as load_views
from depth_anything_3.anyview.network import AnyViewNetwork
from depth_anything_3.export import (
    Export,
    Made,
    check_path,
    check_wish,
    export_asked,
    scene_of,
    write,
)
from depth_anything_3.hub import downloaded
from depth_anything_3.inputs import Inputs, Source, placed_inputs, shown
from depth_anything_3.layouts import load_weights
from depth_anything_3.mono.config import MONO_MODELS
from depth_anything_3.mono.network import MonoNetwork
from depth_anything_3.one_view import check_views, depth_and_sky, lenses_of, scene_of_each
from depth_anything_3.scenes import (
    Wish,
    align,
    cameras_of,
    check_pair,
    outputs_of,
    prediction_of,
    seen,
    steps_of,
)
from depth_anything_3.specs import Prediction

SCENE_MODELS = (*ANY_VIEW_MODELS, *NESTED_MODELS)
_SKY = 0.5  # reported as sky from here on


class DepthAnything3(nn.Module):
    """Drop-in for the class of the same name in ByteDance-Seed/Depth-Anything-3.

    Takes upstream's arguments and checkpoints and gives upstream's numbers, computed in float32
    (upstream: half precision). Depth of da3metric-large is metres once multiplied by the focal
    length in px of the processed image and divided by 300. Calls may come from several threads.

    Raises InputError for a model that this version does not have.
    """

    def __init__(self, model_name: str = "da3-large", **_: Any) -> None:
        super().__init__()
        self.model_name = model_name
        self._weights = UNTRAINED, ""  # file name, sha256
        self.network: Union[MonoNetwork, AnyViewNetwork]
        self.metric: Optional[MonoNetwork] = None  # by which a nested model knows metres
        if model_name in MONO_MODELS:
            self.network = MonoNetwork(MONO_MODELS[model_name])
        elif model_name in SCENE_MODELS:
            model = built(model_name)
            self.network, self.metric = model.network, model.metric
        else:
            names = ", ".join((*MONO_MODELS, *SCENE_MODELS))
            raise InputError(f"no model {model_name!r}; choose from {names}")
        self.eval()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: Union[str, Path],
        *,
        force_download: bool = False,
        token: Optional[Union[str, bool]] = None,
        cache_dir: Optional[Union[str, Path]] = None,
        local_files_only: bool = False,
        revision: Optional[str] = None,
    ) -> DepthAnything3:
        """A model with its weights, from a folder or from a repository of the model hub.

        Of config.json only `model_name` is used. Raises CheckpointError if a file is missing or
        does not fit, DownloadError if the hub does not give it, InputError as the class itself.
        """
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            options = {
                "force_download": force_download,
                "token": token,
                "cache_dir": cache_dir,
                "local_files_only": local_files_only,
            }
            names = (CONFIG_NAME, WEIGHTS_NAME)
            folder = downloaded(str(pretrained_model_name_or_path), names, revision, options)
        name, path = model_name(folder / CONFIG_NAME), folder / WEIGHTS_NAME
        made, checkpoint = cls(name), read_checkpoint(path)
        published = by_sha256(checkpoint.sha256)
        if published is not None and published.model != name:
            raise CheckpointError(f"{path}: is published as {published.model}, not as {name}")
        made._load(checkpoint.state, str(path))
        made._weights = checkpoint.name, checkpoint.sha256
        return made

    def load_state_dict(self, state_dict: Mapping[str, Any], *_: Any, **__: Any) -> Any:
        """Load a checkpoint of any known layout, or this module's own state dict.

        Entries around it, such as "model" or "state_dict", are taken off. Always strict: raises
        CheckpointError that names the keys that do not fit.
        """
        state, where = unwrapped(state_dict)
        self._load(state, f"the state dict{where}")
        self._weights = "a state dict", ""
        return nn.modules.module._IncompatibleKeys([], [])

    def _load(self, state: Mapping[str, Any], source: str) -> None:
        own = {name: _part(state, f"{name}.") for name in ("network", "metric")}
        if self.metric is None or isinstance(self.network, MonoNetwork):
            _load_into(self.network, own["network"] or state, source)
        elif own["network"]:
            if not own["metric"]:
                raise CheckpointError(f"{source} has network.* without metric.*: expected both")
            _load_into(self.metric, own["metric"], f"{source} (metric.*)")
            _load_into(self.network, own["network"], f"{source} (network.*)")
        else:
            load_nested(self.network, self.metric, state, source)

    @torch.no_grad()
    def forward(
        self,
        image: Tensor,
        extrinsics: Optional[Tensor] = None,
        intrinsics: Optional[Tensor] = None,
        export_feat_layers: Optional[Sequence[int]] = None,
        infer_gs: bool = False,
        use_ray_pose: bool = False,
        ref_view_strategy: str = "saddle_balanced",
    ) -> dict[str, Any]:
        """Network inputs [B,N,3,H,W], B scenes, -> depth [B,N,H,W] and what else the model gives.

        Models of one view: `sky` [B,N,H,W]. Others: `depth_conf` [B,N,H,W], `extrinsics`
        [B,N,3,4], `intrinsics` [B,N,3,3], of a nested model `is_metric` and `scale_factor`, and
        with infer_gs `gaussians`.
        Given intrinsics are in px of the inputs; extrinsics are normalised here.
        """
        wish = Wish(tuple(export_feat_layers or ()), use_ray_pose, ref_view_strategy, infer_gs)
        self._check(extrinsics, wish)
        model = self._any_view
        if model is None:
            return depth_and_sky(self.network, image)
        scenes = []
        for number, images in enumerate(image.cpu().numpy()):
            given = None
            check_pair(extrinsics, intrinsics)
            if extrinsics is not None and intrinsics is not None:
                placed, lens = extrinsics[number].cpu(), intrinsics[number].cpu()
                given = given_cameras(placed, lens, len(images))
            scenes.append(seen(model, images, given, wish))
        return outputs_of(scenes, image.device)

    def inference(
        self,
        image: Sequence[Source],
        extrinsics: Any = None,
        intrinsics: Any = None,
        align_to_input_ext_scale: bool = True,
        infer_gs: bool = False,
        use_ray_pose: bool = False,
        ref_view_strategy: str = "saddle_balanced",
        render_exts: Any = None,
        render_ixts: Any = None,
        render_hw: Any = None,
        process_res: int = 504,
        process_res_method: str = "upper_bound_resize",
        export_dir: Optional[Union[str, Path]] = None,
        export_format: str = "mini_npz",
        export_feat_layers: Optional[Sequence[int]] = None,
        conf_thresh_percentile: float = 40.0,
        num_max_points: int = 1_000_000,
        show_cameras: bool = True,
        feat_vis_fps: int = 15,
        export_kwargs: Optional[Mapping[str, Any]] = None,
    ) -> Prediction:
        """Depth of each image, at the size that the network saw, and what else the model gives.

        image        one scene; `placed_inputs` says what an image can be
        extrinsics   [N,4,4] or [N,3,4], world to camera, with `intrinsics` [N,3,3] in px of the
                     images: cameras that are known. Models of one view refuse them
        align_to_input_ext_scale  True: depth is scaled to the given cameras. False: the given
                     cameras are moved to those that the network predicts
        infer_gs     also Gaussians, of da3-giant and da3nested-giant-large
        use_ray_pose  cameras from rays instead of the network's own: slower
        export_dir   a folder for files; `depth/scenes/README.md` has the formats

        Intrinsics alone change nothing, as upstream, but the files of models of one view. These
        put the sky at a quantile of the depth of all images. Raises InputError.
        """
        wish = Wish(tuple(export_feat_layers or ()), use_ray_pose, ref_view_strategy, infer_gs)
        self._check(extrinsics, wish)
        export = None
        if export_dir is not None:
            options = Options(DEFAULT, conf_thresh_percentile, num_max_points, cameras=show_cameras)
            more = {"feat_vis": {"fps": feat_vis_fps}, **(export_kwargs or {})}
            export = export_asked(export_dir, export_format, options, more, len(image))
            check_wish(export, wish.gaussians, bool(wish.blocks))
            check_path(export, render_exts, render_ixts, render_hw)
        inputs = placed_inputs(image, process_res, process_res_method)
        model = self._any_view
        if model is None:
            return self._each(image, inputs, intrinsics, export)
        given = cameras_of(extrinsics, intrinsics, inputs)
        prediction = prediction_of(seen(model, inputs.images, given, wish), inputs)
        if given is not None:
            align(prediction, given, align_to_input_ext_scale)
        if export is not None:
            scaled = given is not None and align_to_input_ext_scale
            steps = steps_of(model, wish, posed=given is not None)
            made = Made(self.model_name, *self._weights, steps, scaled)
            write(scene_of(prediction, image, inputs.places, made), export)
        return prediction

    @property
    def _any_view(self) -> Optional[AnyView]:
        """The same as a model of any number of views; None for a model of one view."""
        if isinstance(self.network, MonoNetwork):
            return None
        return AnyView(self.model_name, self.network, self.metric)

    def _each(
        self, images: Sequence[Source], inputs: Inputs, intrinsics: Any, export: Optional[Export]
    ) -> Prediction:
        """Of images that have nothing to do with each other."""
        if export is not None:
            check_views(export, self.model_name, len(images))
            lenses = lenses_of(intrinsics, inputs.places)
        device = next(self.parameters()).device
        found = self(torch.from_numpy(inputs.images).to(device)[None])
        depth, sky = (found[name][0].cpu().numpy() for name in ("depth", "sky"))
        prediction = Prediction(depth, sky=sky >= _SKY, processed_images=shown(inputs.images))
        if export is not None:
            made = Made(self.model_name, *self._weights, (), scaled=False)
            write(scene_of_each(prediction, images, inputs.places, lenses, made), export)
        return prediction

    def _check(self, extrinsics: Any, wish: Wish) -> None:
        """Raise InputError that names the arguments which this model does not do."""
        network = self.network
        without = isinstance(network, MonoNetwork) or network.gaussians is None
        asked = {"infer_gs": wish.gaussians and without}
        if self._any_view is None:
            asked["extrinsics"] = extrinsics is not None
            asked["export_feat_layers"] = bool(wish.blocks)
            asked["use_ray_pose"] = wish.ray_pose
        names = [name for name, there in asked.items() if there]
        if names:
            raise InputError(
                f"{', '.join(names)}: not done for {self.model_name} by this version; leave out"
            )


def _load_into(
    network: Union[MonoNetwork, AnyViewNetwork], state: Mapping[str, Any], source: str
) -> None:
    if isinstance(network, MonoNetwork):
        load_weights(network, state, source)
    else:
        load_views(network, state, source)


def _part(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
