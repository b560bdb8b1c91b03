"""The published checkpoints of MiDaS v2.1 small, DPT-Large and DPT-Hybrid.

The authors' files are assets of the releases of isl-org/MiDaS. Each sha256 is in two unrelated
public repositories that pin the file; its first eight digits end upstream's earlier file name.
That both names of the hybrid are one file is likely and not shown.
"""

from __future__ import annotations

from typing import Optional

from depth.weights.registry import APACHE, RELEASE, PublishedFile

# The repository is under MIT. Nothing is said of the weights, and some of the data that they were
# trained on are for research only.
MIT = "MIT by its repository, which says nothing of weights"


def _asset(
    model: str, tag: str, filename: str, sha256: str, size_bytes: Optional[int]
) -> PublishedFile:
    return PublishedFile(model, "isl-org/MiDaS", filename, tag, sha256, size_bytes, MIT, RELEASE)


FILES = (
    _asset(
        "midas-small",
        "v2_1",
        "midas_v21_small_256.pt",
        "70d6b9c891758c67f974a6097fb0c608c7ee67fb81ac3e5588847d5596d56fca",
        85_761_505,
    ),
    _asset(
        "dpt-hybrid",
        "v3",
        "dpt_hybrid_384.pt",
        "501f0c75b3bca7daec6b3682c5054c09b366765aef6fa3a09d03a5cb4b230853",
        None,
    ),
    _asset(
        "dpt-large",
        "v3",
        "dpt_large_384.pt",
        "2f21e586477d90cb9624c7eef5df7891edca49a1c4795ee2cb631fd4daa6ca69",
        1_376_378_527,
    ),
    PublishedFile(
        "dpt-hybrid",
        "Intel/dpt-hybrid-midas",
        "pytorch_model.bin",
        "main",
        "b6c4d44f9d96ca3fa76dd3bbb153989a60b4ad5526559f3c598562a368d687ec",
        None,
        APACHE,
        saved_as="dpt-hybrid-midas.bin",
    ),
)

UNPUBLISHED: dict[str, str] = {}
