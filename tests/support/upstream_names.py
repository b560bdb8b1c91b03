"""Our names of parameters and upstream's, written again by hand to compare layouts.py with."""

from __future__ import annotations

from collections.abc import Mapping

Stems = list[tuple[str, str]]  # beginnings of our names and of upstream's; first match wins
_FUSION = {"skip_unit": "resConfUnit1", "unit": "resConfUnit2", "project": "out_conv"}


def upstream_stems(backbone: str, head: str, maps: Mapping[str, str]) -> Stems:
    """Encoder and decoder; `maps`: upstream's module of each output."""
    scratch = f"{head}scratch."
    return [
        ("encoder.patch_embed.", f"{backbone}patch_embed.proj."),
        ("encoder.position.", backbone),
        ("encoder.", backbone),
        *((f"decoder.pyramid.project.{i}.", f"{head}projects.{i}.") for i in range(4)),
        *((f"decoder.pyramid.resize.{i}.", f"{head}resize_layers.{i}.") for i in (0, 1, 3)),
        *((f"decoder.pyramid.adapt.{i}.", f"{scratch}layer{i + 1}_rn.") for i in range(4)),
        *(
            (f"decoder.merge.fuse{i}.{ours}.", f"{scratch}refinenet{i + 1}.{theirs}.")
            for i in range(4)
            for ours, theirs in _FUSION.items()
        ),
        ("decoder.reduce.", f"{scratch}output_conv1."),
        *(
            (f"decoder.heads.{ours}.conv{i + 1}.", f"{scratch}{theirs}.{2 * i}.")
            for ours, theirs in maps.items()
            for i in range(2)
        ),
    ]


def upstream_name(ours: str, stems: Stems) -> str:
    """Upstream's name; raises StopIteration if no stem fits."""
    stem, theirs = next(pair for pair in stems if ours.startswith(pair[0]))
    name = theirs + ours[len(stem) :]
    return name.replace(".scale1.", ".ls1.").replace(".scale2.", ".ls2.")
