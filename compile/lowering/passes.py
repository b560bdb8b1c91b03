"""The lowering passes there are, as data, and `lower`, which applies them to a copy.

A pass is asked for by its name, or as name=variant where it has variants.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Callable

import torch

from compile.lowering import rewrites
from depth.errors import InputError
from depth.network.base import Network
from depth.network.position import unsettle


@dataclass(frozen=True)
class Pass:
    name: str
    summary: str  # what holds after it
    why: str  # what is known of NeuronCore v1, or expected of it
    apply: Callable[[Network, str], None]
    variants: tuple[str, ...] = ()  # the first one is the default
    needs: str = ""  # a pass that must be applied before
    why_needs: str = ""


PASSES: dict[str, Pass] = {
    row.name: row
    for row in (
        Pass(
            "position",
            "the position embedding of this size is a constant",
            "aten::upsample_bicubic2d is in no list of operators for Inf1",
            rewrites.fix_position,
        ),
        Pass(
            "normalisation",
            "scaling to 0..1 and normalisation are part of the patch weights, or come first",
            "the host sends pixels as they are, and has less to do",
            rewrites.fold_normalisation,
        ),
        Pass(
            "patch_embed",
            "the patch convolution is one matrix product",
            "3 input channels are expected to leave most rows of the matrix engine idle",
            rewrites.multiply_patches,
        ),
        Pass(
            "batch_norm",
            "each BatchNorm is part of the convolution before it",
            "a multiplication and an addition per layer less on the vector engine",
            rewrites.fold_batch_norm,
        ),
        Pass(
            "attention_scale",
            "the factor of the attention logits is part of the query weights",
            "one multiplication per block less on the vector engine",
            rewrites.fold_attention_scale,
        ),
        Pass(
            "layer_scale",
            "the gains of each block are part of its last weights",
            "two multiplications per block less on the vector engine",
            rewrites.fold_layer_scale,
        ),
        Pass(
            "class_token",
            "the class token is behind the patch tokens; the position embedding is a constant",
            "patch tokens behind it begin at row 1 of a tile of 128 rows, and each feature map "
            "moves all rows by one",
            rewrites.move_class_token,
        ),
        Pass(
            "project_first",
            "the 1x1 convolution of each fusion comes before its resize",
            "it and the resize work on fewer values",
            rewrites.project_first,
        ),
        Pass(
            "resize",
            "bilinear resizing with aligned corners is two constant matrix products",
            "torch-neuron refuses align_corners=True",
            rewrites.multiply_resizes,
            tuple(rewrites.RESIZES),
        ),
        Pass(
            "attention_blocks",
            "the queries of each block are multiplied in slices",
            "the logits of all queries are larger than the memory of a core is estimated to be",
            rewrites.slice_attention,
            ("4", "2", "8", "16", rewrites.FIT),
        ),
        Pass(
            "input",
            "images are float16, and the first operator makes them float32",
            "half as many bytes go to the device",
            rewrites.take_half,
            ("fp16",),
            needs="normalisation",
            why_needs="float16 holds the levels 0..255 exactly, and normalised values not",
        ),
    )
}


def with_variants(passes: Sequence[str], variants: Sequence[str]) -> tuple[str, ...]:
    """The passes, some in another variant or with others beside them: "attention_blocks=4".

    Raises InputError as `asked` does, and if a pass is missing that another one needs.
    """
    asked(variants)
    chosen = {text.partition("=")[0]: text for text in (*passes, *variants)}
    for name in chosen:
        _check_needs(PASSES[name], chosen)
    return tuple(chosen.values())


def lower(network: Network, passes: Sequence[str]) -> Network:
    """A rewritten copy of the network at its fixed size, in eval mode and without gradients.

    The passes are applied in the order of `PASSES`, however they are listed. With `normalisation`
    the input is RGB 0..255 in float32, and with `input` in float16. Raises InputError if the
    network has no size, or a pass or a variant does not exist, is asked for twice, was applied
    before or needs another pass.
    """
    chosen = asked(passes)
    lowered = copied(network)
    for row, variant in chosen:
        apply(lowered, row, variant)
    return lowered


def stock(network: Network) -> Network:
    """A copy as the published code traces: it resamples its position embedding in forward.

    Its numbers are the network's own; its graph holds what the passes remove.
    """
    published = copied(network)
    unsettle(published)
    return published


def copied(network: Network) -> Network:
    """A copy to be rewritten, in eval mode and without gradients. Raises InputError as `lower`."""
    network.fixed_size  # noqa: B018 - raises
    return copy.deepcopy(network).eval().requires_grad_(False)


def apply(lowered: Network, row: Pass, variant: str) -> None:
    """One pass, in place.

    Raises InputError if it was applied before, or needs a pass that was not.
    """
    done = {text.partition("=")[0] for text in lowered.passes}
    if row.name in done:
        raise InputError(f"lowering pass {row.name!r} was applied to this network before")
    _check_needs(row, done)
    with torch.no_grad():
        row.apply(lowered, variant)
    lowered.passes = (*lowered.passes, label(row, variant))


def _check_needs(row: Pass, names: Collection[str]) -> None:
    if row.needs and row.needs not in names:
        raise InputError(
            f"lowering pass {row.name!r} needs the pass {row.needs!r}: {row.why_needs}; "
            "ask for both"
        )


def label(row: Pass, variant: str) -> str:
    """As a pass is asked for: "resize=matmul"."""
    return f"{row.name}={variant}" if variant else row.name


def asked(passes: Sequence[str]) -> list[tuple[Pass, str]]:
    """Passes and their variants, in the order of the table.

    Raises InputError, listing what there is, if a pass or a variant does not exist or comes twice.
    """
    found: dict[str, str] = {}
    for text in passes:
        name, given, variant = text.partition("=")
        if name not in PASSES:
            raise InputError(f"no lowering pass {name!r}; choose from {', '.join(PASSES)}")
        variants = PASSES[name].variants
        if given and variant not in variants:
            raise InputError(
                f"lowering pass {name!r} has no variant {variant!r}; "
                + (f"choose from {', '.join(variants)}" if variants else "ask for it by name alone")
            )
        if name in found:
            raise InputError(f"lowering pass {name!r} is asked for twice")
        found[name] = variant or "".join(variants[:1])
    return [(row, found[name]) for name, row in PASSES.items() if name in found]
