"""The published checkpoints of Depth Anything V2, and of Depth Anything V1."""

from __future__ import annotations

from depth.weights.registry import APACHE, CC_BY_NC, SPACE, PublishedFile

# The cards of the metric base and large models say Apache-2.0, but they were fine-tuned from
# weights under CC-BY-NC-4.0. The authors were asked which holds (upstream's issue 245): no answer.
CONTESTED = "Apache-2.0 by its card, tuned from CC-BY-NC-4.0 weights"

# Where the numbers come from. "pointer": the Git LFS pointer (sha256 and bytes) that the owners'
# upload commit shows on the hub; "page": the sha256 on the hub's page of the file. In addition, all
# nine sha256 agree with mozo (tools/fetch/depth_anything_v2.py) and all nine rows, revisions and
# bytes included, with Contour VFX (first_setup.py). Licences: the hub pages of the repositories.
_V2 = (
    PublishedFile(  # pointer, commit 65ae6e3
        "vits",
        "depth-anything/Depth-Anything-V2-Small",
        "depth_anything_v2_vits.pth",
        "03876f8651c73a60fe4c2c48294e09fcb6838fcf",
        "715fade13be8f229f8a70cc02066f656f2423a59effd0579197bbf57860e1378",
        99_218_434,
        APACHE,
    ),
    PublishedFile(  # pointer, commit f11825d
        "vitb",
        "depth-anything/Depth-Anything-V2-Base",
        "depth_anything_v2_vitb.pth",
        "a4e71a6c2ce52fe50df0f212066b0d4a87be9b5e",
        "0d2b7002e62d39d655571c371333340bd88f67ab95050c03591555aa05645328",
        389_961_218,
        CC_BY_NC,
    ),
    PublishedFile(  # pointer of the copy in simon123905/ShadowDiffusion, commit c3cf4f8
        "vitl",
        "depth-anything/Depth-Anything-V2-Large",
        "depth_anything_v2_vitl.pth",
        "cbbb86a30ce19b5684b7a05155dc7e6cbc7685b9",
        "a7ea19fa0ed99244e67b624c72b8580b7e9553043245905be58796a608eb9345",
        1_341_395_338,
        CC_BY_NC,
    ),
    PublishedFile(  # Vision2Grasp and others: sha256, bytes and revision
        "vits-metric-indoor",
        "depth-anything/Depth-Anything-V2-Metric-Hypersim-Small",
        "depth_anything_v2_metric_hypersim_vits.pth",
        "3bc65d4e14a6786a61acec16453c50e12bf5f338",
        "b782898d8a3e8be1f639de33837ed85e9b4b73e40f8f5e5cd99067588d722545",
        99_222_290,
        APACHE,
    ),
    PublishedFile(  # page, commit 4e6ee43
        "vitb-metric-indoor",
        "depth-anything/Depth-Anything-V2-Metric-Hypersim-Base",
        "depth_anything_v2_metric_hypersim_vitb.pth",
        "4ebcd7fd0858cbb953451619ca943ea39ec08e00",
        "9dc9e274c5eff55c6daf27b660c0ced0eca4e8593a6da90cdcb04d2b4d3f3fa2",
        389_965_138,
        CONTESTED,
    ),
    PublishedFile(  # page, commit 2c34ee4
        "vitl-metric-indoor",
        "depth-anything/Depth-Anything-V2-Metric-Hypersim-Large",
        "depth_anything_v2_metric_hypersim_vitl.pth",
        "79720800638389a78b2defc92caa885104f69974",
        "6f82ff2bc543ac02ddff4aa31fa363676a8305dd3ccf04e80e2af115a044cb6d",
        1_341_401_882,
        CONTESTED,
    ),
    PublishedFile(  # page, commit a496380
        "vits-metric-outdoor",
        "depth-anything/Depth-Anything-V2-Metric-VKITTI-Small",
        "depth_anything_v2_metric_vkitti_vits.pth",
        "c725b8589bdf6ab04072cab74c0467830db80d6d",
        "9203e538d35255c90dda4b7fedb47ff33fe725497bcca3b1e53b3a65ee63f0cb",
        99_221_808,
        APACHE,
    ),
    PublishedFile(  # pointer, commit c3208e5
        "vitb-metric-outdoor",
        "depth-anything/Depth-Anything-V2-Metric-VKITTI-Base",
        "depth_anything_v2_metric_vkitti_vitb.pth",
        "e96fd0c8cedf1825a55b9c61309f754982948df0",
        "4dad67a7cc10b462bca48e6b8569c762b8eb3c1adada170a3851a6d3ba37bb3e",
        389_964_656,
        CONTESTED,
    ),
    PublishedFile(  # pointer, commit d749ee0
        "vitl-metric-outdoor",
        "depth-anything/Depth-Anything-V2-Metric-VKITTI-Large",
        "depth_anything_v2_metric_vkitti_vitl.pth",
        "070e97e4b80e317ec1d03c19927304f4091a180b",
        "239b1054a369e66da2576e9a118d6d7c12d90dc8ebe609579a9a09cd8e05fe38",
        1_341_401_064,
        CONTESTED,
    ),
)

# Depth Anything V1 (LiheYoung/Depth-Anything). Its files are in the authors' hub space, and no
# commit is known: the sha256 is what counts. Each is in at least two public repositories that pin
# the file; the bytes of the large one in one of them. Licence: the repository's, for all sizes.
_V1_SPACE = "LiheYoung/Depth-Anything"
_V1 = (
    PublishedFile(
        "v1-vits",
        _V1_SPACE,
        "checkpoints/depth_anything_vits14.pth",
        "main",
        "59afe57cfd9f4284deaf5b753d954723d7136ae842fba3e068ba03537ca1e60e",
        None,
        APACHE,
        SPACE,
    ),
    PublishedFile(
        "v1-vitb",
        _V1_SPACE,
        "checkpoints/depth_anything_vitb14.pth",
        "main",
        "64ae214ae4e27424b644c49464c0aa243016f6f753d95097c8eb9ad0b9cb2d9b",
        None,
        APACHE,
        SPACE,
    ),
    PublishedFile(
        "v1-vitl",
        _V1_SPACE,
        "checkpoints/depth_anything_vitl14.pth",
        "main",
        "6c6a383e33e51c5fdfbf31e7ebcda943973a9e6a1cbef1564afe58d7f2e8fe63",
        1_341_401_882,
        APACHE,
        SPACE,
    ),
)

FILES = (*_V2, *_V1)

UNPUBLISHED = {
    "demo": "it is bundled, so there is nothing to fetch",
    "vitg": "its authors announced it as coming soon and have not published it",
}
