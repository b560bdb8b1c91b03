"""Products of a network, as data: what compile/macs.py counts and a plan takes time for."""

from __future__ import annotations

from dataclasses import dataclass

LINEAR, ATTENTION, CONV, RESIZE = KINDS = ("linear", "attention", "conv", "resize")


@dataclass(frozen=True)
class Product:
    """Products of one shape: sums over `depth` inputs, for `width` outputs."""

    kind: str
    macs: int  # multiply-accumulates
    depth: int
    width: int
