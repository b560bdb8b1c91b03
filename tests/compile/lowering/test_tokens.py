"""Where tokens are: the class token behind the others, slices of queries that end at whole tiles,
and q, k and v taken by slices in every family.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest
import torch
from torch import Tensor

from compile.lowering.attention import TILE, AttendInBlocks, edges_of
from compile.lowering.passes import lower, stock, with_variants
from compile.parts import parts
from compile.targets.table import NEURON_PASSES
from compile.trace import trace
from depth.family import Model, ModelConfig, build, models
from depth.network.base import Network
from depth.network.vit import Attention
from tests.support import da3
from tests.support.models import SIZE, TINY, network

pytestmark = pytest.mark.long

TILED = (224, 224)  # 257 tokens: two tiles and the class token
SPLITS = {"aten::chunk", "aten::split", "aten::split_with_sizes", "aten::unbind"}
SPLITS |= {"aten::tensor_split", "prim::ListUnpack"}
SMALL = {
    "embed_dim": 32,
    "depth": 6,
    "num_heads": 2,
    "taps": (2, 3, 4, 5),
    "decoder_dim": 8,
    "stage_dims": (8, 12, 24, 24),
}
# The rows of every family whose networks differ in more than their sizes.
ROWS = {
    (row.family, row.config.swiglu, row.depth.largest is None, len(row.outputs)): row
    for row in models().values()
    if isinstance(row.config, ModelConfig)  # the others are made of these
}


def image(made: Network, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 3, *made.fixed_size, generator=generator)


def error(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    assert expected.std() > 0.01 * expected.abs().max()  # depth that varies
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(
    ("tokens", "count", "edges"),
    [
        (1370, 4, [0, 256, 640, 1024, 1370]),
        (1370, 2, [0, 640, 1370]),
        (1370, 8, [0, 128, 256, 512, 640, 768, 1024, 1152, 1370]),
        (1297, 4, [0, 256, 640, 1024, 1297]),
        (257, 2, [0, 128, 257]),
        (257, 4, [0, 64, 128, 192, 257]),  # three tiles are too few for four slices
        (21, 2, [0, 10, 21]),
    ],
)
def test_slices_of_queries_end_at_whole_tiles_where_there_are_enough(
    tokens: int, count: int, edges: list[int]
) -> None:
    assert edges_of(tokens, count) == edges


@pytest.mark.parametrize("count", [2, 4, 8, 16])
def test_slices_at_whole_tiles_hold_every_token_once(count: int) -> None:
    for tokens in range(TILE * (count - 1) + 1, 4000, 61):
        edges = edges_of(tokens, count)
        assert (edges[0], edges[-1], len(edges)) == (0, tokens, count + 1)
        assert not [edge for edge in edges[1:-1] if edge % TILE]
        lengths = [end - start for start, end in zip(edges, edges[1:])]
        assert min(lengths) > 0
        assert max(lengths) <= TILE * ceil(ceil(tokens / TILE) / count)


@pytest.mark.parametrize("passes", [[], NEURON_PASSES], ids=["alone", "with others"])
def test_a_network_with_such_slices_keeps_its_numbers(passes: list[str]) -> None:
    passes = with_variants(passes, ["attention_blocks=2"])
    plain = network(TINY, TILED)
    lowered = lower(plain, [name for name in passes if name != "normalisation"])
    for block in lowered.encoder.blocks:
        assert isinstance(block.attn.attend, AttendInBlocks)
        assert block.attn.attend.edges(257) == [0, TILE, 257]
    assert error(lowered(image(plain)), plain(image(plain))) <= 5e-5


def tokens_of(made: Network) -> tuple[Tensor, Tensor]:
    """What goes into the first block, and the first feature map."""
    seen: list[Tensor] = []
    made.encoder.blocks[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    h, w = (side // 14 for side in made.fixed_size)
    return made.encoder(image(made), h, w)[0], seen[0]


def test_the_class_token_is_the_last_token_and_the_feature_maps_stay() -> None:
    plain = network(TINY)
    expected, before = tokens_of(lower(plain, []))
    found, after = tokens_of(lower(plain, ["class_token"]))
    assert torch.equal(after, torch.cat((before[:, 1:], before[:, :1]), dim=1))
    assert error(found, expected) <= 1e-5


@pytest.mark.parametrize("passes", [["class_token"], ["position", "class_token"]])
def test_the_class_token_moves_in_the_published_form_too(passes: list[str]) -> None:
    plain = network(TINY)
    expected = plain(image(plain))
    assert error(lower(stock(plain), passes)(image(plain)), expected) <= 1e-5
    again = lower(lower(plain, ["class_token"]), ["position"])  # the position is fixed already
    assert torch.equal(again(image(plain)), lower(plain, ["class_token"])(image(plain)))


def test_a_position_whose_rows_stayed_would_be_seen() -> None:
    plain = network(TINY)
    lowered, fixed = lower(plain, ["class_token"]), lower(plain, ["position"])
    lowered.encoder.position = fixed.encoder.position
    assert error(lowered(image(plain)), plain(image(plain))) > 1e-3


def test_the_models_of_depth_anything_3_keep_both_maps() -> None:
    plain = da3.network()
    plain.fix_size(*SIZE)
    for passes in (["class_token"], [n for n in NEURON_PASSES if n != "normalisation"]):
        for found, expected in zip(lower(plain, passes)(image(plain)), plain(image(plain))):
            torch.testing.assert_close(found, expected, rtol=0, atol=5e-5)


def small(row: Model) -> Network:
    own = {**SMALL, **({"alternate_from": 2} if row.takes_scenes else {})}
    made = build(replace(row, config=replace(row.config, **own)))
    made.fix_size(*SIZE)
    return made.eval().requires_grad_(False)


def splits_of(made: Network, passes: list[str]) -> set[str]:
    """Operators that take a tensor apart, in the graphs of the network whole and in stages."""
    lowered = lower(made, passes)
    graphs = [
        trace(part.module, part.examples).inlined_graph
        for split in (False, True)
        for part in parts(lowered, 1, split)
    ]
    return SPLITS & {node.kind() for graph in graphs for node in graph.nodes()}


@pytest.mark.parametrize("row", ROWS.values(), ids=[row.name for row in ROWS.values()])
def test_no_family_takes_a_tensor_apart_but_by_slices(row: Model) -> None:
    made = small(row)
    assert splits_of(made, []) == set()
    assert splits_of(made, list(NEURON_PASSES)) == set()


def by_chunk(qkv: Tensor) -> tuple[Tensor, ...]:
    return qkv.chunk(3, dim=-1)


def by_split(qkv: Tensor) -> tuple[Tensor, ...]:
    return qkv.split(32, dim=-1)


@pytest.mark.parametrize(
    ("parted", "name"), [(by_chunk, "vits"), (by_split, "da3mono-large")], ids=["chunk", "split"]
)
def test_attention_by_chunk_or_split_would_be_seen(
    monkeypatch: pytest.MonkeyPatch, parted: object, name: str
) -> None:
    def forward(self: Attention, x: Tensor, tokens: int) -> Tensor:
        q, k, v = (self._heads(each, tokens) for each in parted(self.qkv(x)))  # type: ignore[operator]
        return self.proj(self.attend(self.scale(q), k, v, tokens).transpose(1, 2).flatten(2))

    monkeypatch.setattr(Attention, "forward", forward)
    for passes in ([], list(NEURON_PASSES)):
        assert splits_of(small(models()[name]), passes)
