"""The published checkpoints of Depth Anything 3.

Models that this version does not have are listed too, so that their files are recognised.

Each sha256 is in at least two unrelated public repositories that pin the file; those of the giant
and of the earlier nested model in one each. Licences: the table in upstream's README and the hub
cards. Every file is called `model.safetensors` on the hub.
"""

from __future__ import annotations

from typing import Optional

from depth.weights.registry import APACHE, CC_BY_NC, PublishedFile

# README: CC BY-NC 4.0; card: Apache-2.0. Asked in upstream's issue 259: no answer.
CONTESTED = "Apache-2.0 by its card, CC-BY-NC-4.0 by its authors' README"


def _file(
    model: str,
    repository: str,
    revision: str,
    sha256: str,
    size_bytes: Optional[int],
    licence: str,
) -> PublishedFile:
    return PublishedFile(
        model,
        f"depth-anything/{repository}",
        "model.safetensors",
        revision,
        sha256,
        size_bytes,
        licence,
        saved_as=f"{model}.safetensors",
    )


FILES = (
    _file(
        "da3mono-large",
        "DA3MONO-LARGE",
        "f465978e618db8cc79c83b8bbf24964857db1875",
        "7a799a7f95eb8d4c404c2ca8be3dc3276b350a417ddc4420db72ba850cc0e960",
        None,
        APACHE,
    ),
    _file(
        "da3metric-large",
        "DA3METRIC-LARGE",
        "4010e39f3634a45bc60553321fb49fb760bd594e",
        "bbea5b0b3ee389849cffa7ddae89de064a90abd2b055fc5aa99aac68db324776",
        1_336_734_448,
        APACHE,
    ),
    _file(
        "da3-small",
        "DA3-SMALL",
        "e08cab65ca0ec38e7826075418411ab90cab4da3",
        "364492e38a3a06d221ac75da7f6621ada3f2361cd24fde11ba79091e9f40efcf",
        137_248_940,
        APACHE,
    ),
    _file(
        "da3-base",
        "DA3-BASE",
        "f4a6c9b3c95e41c82048423d3493a81ec3fa810e",
        "e01067dc1659613083d9145a9a2547ccdbe6ccbbf83c4fe7b3e8a4e2bdae78b5",
        541_518_028,
        APACHE,
    ),
    _file(
        "da3-large",
        "DA3-LARGE-1.1",
        "0e109ae307c5982f319a67cf6f9f99ccdc0ec97c",
        "739905c423cf0d6ccaf9e61a8401d82ba1ac32d7f4d3ee6dca8f92b377633f64",
        1_643_843_860,
        CONTESTED,
    ),
    _file(
        "da3-giant",
        "DA3-GIANT-1.1",
        "72ee9f89ce4e50d704e9d55ee9c646ec8dc25a19",
        "1e47a08338ca73a6d6a21d37fd060b26b993b672bc6ddf6295fe474df2592001",
        None,
        CC_BY_NC,
    ),
    _file(
        "da3nested-giant-large",
        "DA3NESTED-GIANT-LARGE-1.1",
        "b2359bdf726fb44ef62acca04d629dcf158053e7",
        "8ebe871a022ed58d2fc8fdfb2ebdb31d57b60fe39611c849095851a7b7c6020c",
        6_759_558_100,
        CC_BY_NC,
    ),
    _file(  # before a training fault was mended
        "da3nested-giant-large",
        "DA3NESTED-GIANT-LARGE",
        "8615eefb62f2db4f8d6ebaa59160086981672829",
        "8899faf998dedbc230261ab736fa57015280727399429122d44d4f9e7aac2ddd",
        6_759_558_100,
        CC_BY_NC,
    ),
)

UNPUBLISHED: dict[str, str] = {}
