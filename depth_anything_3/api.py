"""Upstream's Python API on our network: `from depth_anything_3.api import DepthAnything3`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import torch
from torch import Tensor, nn

from depth.artifact.steps import SkyToFar
from depth.artifact.strict_json import parse_object
from depth.errors import CheckpointError, InputError
from depth.files import read_regular
from depth.steps.sky import sky_to_far
from depth.weights.checkpoint import read_checkpoint
from depth.weights.wrappings import unwrapped
from depth_anything_3.config import ANY_VIEW, FAR, MODELS
from depth_anything_3.hub import downloaded
from depth_anything_3.inputs import Source, network_inputs, shown
from depth_anything_3.layouts import load_weights
from depth_anything_3.network import build
from depth_anything_3.specs import Prediction

SAFETENSORS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"
_MAX_CONFIG_BYTES = 1 << 20
_AT_ONCE = 8  # images in one run of the network
_SKY = 0.5  # reported as sky from here on


class DepthAnything3(nn.Module):
    """Drop-in for the class of the same name in ByteDance-Seed/Depth-Anything-3.

    Takes upstream's arguments and checkpoints and gives upstream's numbers, computed in float32
    (upstream: half precision). So far the models of one view: da3mono-large and da3metric-large.
    Depth of the latter is metres once multiplied by the focal length in px of the processed image
    and divided by 300. Calls may come from several threads.

    Raises InputError for a model that this version does not have.
    """

    def __init__(self, model_name: str = "da3-large", **_: Any) -> None:
        super().__init__()
        if model_name in ANY_VIEW:
            raise InputError(
                f"model {model_name!r} is of several views, which this version does not have; "
                f"choose from {', '.join(MODELS)}"
            )
        if model_name not in MODELS:
            raise InputError(f"no model {model_name!r}; choose from {', '.join(MODELS)}")
        self.model_name = model_name
        self.network = build(MODELS[model_name])
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
            names = (CONFIG_NAME, SAFETENSORS_NAME)
            folder = downloaded(str(pretrained_model_name_or_path), names, revision, options)
        made = cls(_model_name(folder / CONFIG_NAME))
        checkpoint = read_checkpoint(folder / SAFETENSORS_NAME)
        load_weights(made.network, checkpoint.state, str(folder / SAFETENSORS_NAME))
        return made

    def load_state_dict(self, state_dict: Mapping[str, Any], *_: Any, **__: Any) -> Any:
        """Load a checkpoint of any known layout, or this module's own state dict.

        Entries around it, such as "model" or "state_dict", are taken off. Always strict: raises
        CheckpointError that names the keys that do not fit.
        """
        state, where = unwrapped(state_dict)
        own = {k[len("network.") :]: v for k, v in state.items() if k.startswith("network.")}
        load_weights(self.network, own or state, f"the state dict{where}")
        return nn.modules.module._IncompatibleKeys([], [])

    @torch.no_grad()
    def forward(
        self,
        image: Tensor,
        extrinsics: Optional[Tensor] = None,
        intrinsics: Optional[Tensor] = None,  # noqa: ARG002 - upstream's; see `inference`
        export_feat_layers: Optional[Sequence[int]] = None,
        infer_gs: bool = False,
        use_ray_pose: bool = False,
        ref_view_strategy: str = "saddle_balanced",  # noqa: ARG002 - upstream's
    ) -> dict[str, Any]:
        """Network inputs [B,N,3,H,W] -> depth and sky [B,N,H,W], the sky's depth put far."""
        self._refuse(
            {
                "extrinsics": extrinsics is not None,
                "export_feat_layers": bool(export_feat_layers),
                "infer_gs": infer_gs,
                "use_ray_pose": use_ray_pose,
            }
        )
        views = image.flatten(0, 1)
        parts = [self.network(views[i : i + _AT_ONCE]) for i in range(0, len(views), _AT_ONCE)]
        shape = (*image.shape[:2], *image.shape[3:])
        depth, sky = (torch.cat(maps).reshape(shape) for maps in zip(*parts))
        return {"depth": _far_sky(depth, sky, FAR), "sky": sky, "aux": {}}

    def inference(
        self,
        image: Sequence[Source],
        extrinsics: Any = None,
        intrinsics: Any = None,  # noqa: ARG002 - see below
        align_to_input_ext_scale: bool = True,  # noqa: ARG002 - for models with cameras
        infer_gs: bool = False,
        use_ray_pose: bool = False,
        ref_view_strategy: str = "saddle_balanced",  # noqa: ARG002 - for several views
        render_exts: Any = None,  # noqa: ARG002 - for Gaussians
        render_ixts: Any = None,  # noqa: ARG002
        render_hw: Any = None,  # noqa: ARG002
        process_res: int = 504,
        process_res_method: str = "upper_bound_resize",
        export_dir: Optional[str] = None,
        export_format: str = "mini_npz",  # noqa: ARG002 - for export_dir
        export_feat_layers: Optional[Sequence[int]] = None,
        **_: Any,
    ) -> Prediction:
        """Depth and sky of each image, at the size that the network saw.

        `network_inputs` says what an image can be. The depth of the sky is a quantile over all
        images of the call. `intrinsics` change nothing for these models, as upstream.

        Raises InputError for what these models or this version do not do.
        """
        self._refuse({"export_dir": export_dir is not None})
        inputs = network_inputs(image, process_res, process_res_method)
        device = next(self.parameters()).device
        found = self(
            torch.from_numpy(inputs).to(device)[None],
            extrinsics,
            None,
            export_feat_layers,
            infer_gs,
            use_ray_pose,
        )
        depth, sky = (found[name][0].cpu().numpy() for name in ("depth", "sky"))
        return Prediction(depth, sky=sky >= _SKY, processed_images=shown(inputs))

    def _refuse(self, asked: Mapping[str, bool]) -> None:
        names = [name for name, there in asked.items() if there]
        if names:
            raise InputError(
                f"{', '.join(names)}: not done for {self.model_name} by this version; leave out"
            )


def _far_sky(depth: Tensor, sky: Tensor, step: SkyToFar) -> Tensor:
    found = sky_to_far(depth.cpu().numpy(), sky.cpu().numpy(), step)
    return torch.from_numpy(found).to(depth.device)


def _model_name(path: Path) -> str:
    """Of a config.json, which is untrusted text."""
    try:
        data = read_regular(path, _MAX_CONFIG_BYTES)
        name = parse_object(data).get("model_name", "da3-large")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a readable config.json: {error}") from error
    if not isinstance(name, str):
        raise CheckpointError(f"{path}: model_name is {name!r}, expected a text")
    return name
