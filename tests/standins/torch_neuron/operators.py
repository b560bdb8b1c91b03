"""The operators that torch-neuron 1.13.1 lists, and what it lists but refuses."""

from __future__ import annotations

from typing import Any

_NAMES = """
Int ScalarImplicit __and__ _convolution _convolution_mode _shape_as_tensor _weight_norm abs
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d add add_ addmm
all amax amin any arange argmax argmin avg_pool2d baddbmm batch_norm bmm broadcast_tensors
broadcast_to bucketize cat ceil chunk clamp clamp_max clamp_min clip clone constant_pad_nd
contiguous cos cumsum detach dimension_value div dot dropout einsum embedding_renorm_ empty
empty_like eq erf exp expand expand_as eye fill_ flatten flip floor floor_divide frobenius_norm
full full_like ge gelu group_norm gt hardsigmoid hardswish hardtanh hardtanh_ index_select
instance_norm isnan layer_norm le leaky_relu linear log log2 log_softmax logical_and logical_not
logical_or logical_xor lt masked_fill masked_fill_ matmul max max_pool2d max_pool2d_with_indices
mean meshgrid min mm movedim mul mv ne neg new_empty new_ones new_zeros numel ones ones_like
permute pixel_shuffle pow prelu reciprocal reflection_pad2d relu relu_ remainder repeat
repeat_interleave reshape roll rsqrt rsub scalarImplicit select sigmoid silu sin size slice
softmax softplus split split_with_sizes sqrt squeeze stack sub sum t tanh tensor_split tensordot
threshold to topk transpose tril triu true_divide trunc type_as unbind unsqueeze
upsample_bilinear2d upsample_nearest2d values view zero_ zeros zeros_like
"""
SUPPORTED = frozenset(f"aten::{name}" for name in _NAMES.split())

# They hold other values or none; nothing is computed.
STRUCTURE = frozenset({"prim::Constant", "prim::ListConstruct", "prim::TupleConstruct"})
UNPACKING = frozenset({"prim::ListUnpack", "prim::TupleUnpack"})


def refusal(node: Any) -> str:
    """Why a listed operator is not implemented with these arguments, or nothing."""
    if node.kind() == "aten::upsample_bilinear2d" and node.inputsAt(2).toIValue():
        return "Bilinear Upsampling with align_corners=True is not yet implemented"
    return ""


def on_chip(node: Any) -> bool:
    return node.kind() in SUPPORTED and not refusal(node)
