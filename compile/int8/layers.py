"""Settings of int8: images to calibrate on, and layers that stay float.

Figures behind the choices are in docs/int8.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

from torch import nn

from compile.int8.choice import Choice
from compile.int8.images import Calibration, choose
from compile.parity.inputs import Picture, photographs
from depth.errors import InputError

# Parts in float where layers cannot be chosen by measurement, because encoder and decoder are
# programs of their own. The decoder's errors are the depth's errors, and few photographs do not
# show its range; the patches carry the whole picture and are a hundredth of the work.
FLOAT_LAYERS = ("decoder", "encoder.patch_embed")


FLOAT_LAYERS_FLAG = "float_layers"  # of the manifest
_WITH_WEIGHTS = (nn.Linear, nn.Conv2d)


@dataclass(frozen=True)
class Quantisation:
    calibration: Calibration
    float_layers: tuple[str, ...] = ()  # none: chosen by measurement when the network is there
    choice: Optional[Choice] = None  # the measurements behind the layers, if these were chosen

    def flags(self) -> tuple[str, ...]:
        """For the manifest: programs of equal flags were made from the same images."""
        images = self.calibration
        return (
            f"{FLOAT_LAYERS_FLAG}={','.join(self.float_layers)}",
            f"calibration_images={len(images.images)}",
            f"calibration_sha256={images.sha256}",
        )

    def layer_facts(self) -> dict[str, object]:
        """For report.json."""
        choice = {"choice": asdict(self.choice)} if self.choice else {}
        return {"float": list(self.float_layers), **choice}

    def layers_text(self) -> str:
        """For report.md."""
        kept = f"Float layers: {', '.join(self.float_layers) or 'none'}."
        if self.choice is None:
            return kept
        return (
            f"{kept} Chosen by measurement: {100 * self.choice.share:.0f} % of the "
            f"multiply-accumulates are in int8, with {100 * self.choice.error:.0f} % of the limit "
            "as the largest error in the trials."
        )


def pictures_for(
    folder: Path, for_gate: int, calibrated: bool, float_layers: Sequence[str] = ()
) -> tuple[list[Picture], Optional[Quantisation]]:
    """Photographs for the parity gate, and for a calibrated precision the settings of int8.

    Raises InputError if there is no image to calibrate on, or layers are named for nothing.
    """
    if calibrated:
        pictures, calibration = choose(folder, for_gate)
        return pictures, Quantisation(calibration, tuple(float_layers))
    if float_layers:
        raise InputError(f"--float-layers {' '.join(float_layers)}: only int8 has such layers")
    return photographs(folder, for_gate), None


def check_float_layers(network: nn.Module, names: Sequence[str]) -> None:
    """Raises InputError if a name is no part of the network, or nothing is left for int8."""
    modules = dict(network.named_modules())
    for name in names:
        if name not in modules or not name:
            raise InputError(
                f"--float-layers {name!r}: no such part of the network; name one like decoder, "
                "decoder.reduce, encoder.blocks.0 or encoder.blocks.0.mlp.fc2"
            )
    layers = [name for name, module in modules.items() if isinstance(module, _WITH_WEIGHTS)]
    if all(is_part(layer, names) for layer in layers):
        raise InputError(
            f"--float-layers {' '.join(names)}: nothing is left for int8; name fewer parts, or use "
            "--precision fp32"
        )


def is_part(layer: str, names: Sequence[str]) -> bool:
    """Whether a layer is one of the named modules, or inside one."""
    return any(layer == name or layer.startswith(f"{name}.") for name in names)


ADVICE = (
    ". Nothing is written. Try more photographs like those to be served (--images), more parts in "
    "float (--float-layers), or --precision bf16 or fp32"
)  # for a program that missed the limit
