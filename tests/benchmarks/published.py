"""Published times of other networks on these chips: the estimates are fitted and checked with them.

Rows of AWS: benchmark pages of the AWS Neuron SDK documentation. Inf1 as of SDK 2.20 (September
2024; the TensorFlow rows SDK 2.12), Inf2 of SDK 2.21 to 2.27, Trn1 of SDK 2.27 and 2.28. Calls in
flight follow from throughput x median latency, which a test checks for every row.

Left aside, because the row does not say what ran: DistilBERT in TensorFlow on 16 cores (how a batch
of 16 is split), DistilBERT sst-2 in the latency table (5 images at 10.0 ms by one worker cannot be
593 per second), CLIP (one image against 100 texts), albert, the perceivers and diffusion models.

Rows of others: one call at a time on one core, so latency gives the throughput or, for YOLO26s, the
throughput the latency.

- philschmid/aws-neuron-samples, benchmark/results and results_encoder.md, June 2023: means of 100
  calls, default flags of the compiler. BERT large on Inf1 is there as 95th percentile only, and
  without 512 tokens.
- aws-neuron/neuronx-distributed-inference, pull request 151, April 2026: YOLO26s in float32, which
  the estimates have no term for. The smaller YOLO26n is left aside.
- aws-neuron/aws-neuron-sdk, issue 826, January 2024: four convolutions on inf1.xlarge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Callable

from compile.plan.work import HOST_VALUE_BYTES, Work
from compile.products import ATTENTION, CONV, LINEAR, Product
from depth.chips import INFERENTIA, INFERENTIA2, Chip

_SEQUENCE = 128  # tokens, in every row of AWS
_LENGTHS = (8, 16, 32, 64, 128, 256, 512)  # tokens, in philschmid's rows
_WIDE = 128  # no narrower than either array


def _transformer(layers: int, tokens: int, dim: int, input_bytes: float) -> Work:
    """12 dim^2 weights per layer, heads of 64 channels."""
    weights = 12 * layers * dim**2
    products = (
        Product(LINEAR, weights * tokens, _WIDE, _WIDE),
        Product(ATTENTION, 2 * layers * tokens**2 * dim, _WIDE, _WIDE),
    )
    return Work(products, weights, input_bytes, scores=dim // 64 * tokens**2, layers=layers)


def _text(
    layers: int, dim: int, per_token: int, tokens: int = _SEQUENCE, shared: bool = False
) -> Work:
    """A text network of `tokens` tokens.

    per_token: values that the host hands over for each token, in float32
    shared: all layers have the same weights, and a call reads them once
    """
    work = _transformer(layers, tokens, dim, HOST_VALUE_BYTES * tokens * per_token)
    return replace(work, weights=work.weights / layers) if shared else work


def _convolutional(gmac: float, million_weights: float, values: int, value_bytes: int = 4) -> Work:
    products = (Product(CONV, round(gmac * 1e9), _WIDE, _WIDE),)
    return Work(products, million_weights * 1e6, value_bytes * values)


_IMAGENET = 3 * 224 * 224

# torch-neuron leaves the embedding to the host, which hands over its result.
_BERT, _DISTILBERT = partial(_text, 12, 768, 768), partial(_text, 6, 768, 768)
_BERT_LARGE = partial(_text, 24, 1024, 1024)
_ALBERT = partial(_text, 12, 768, 128, shared=True)
# torch-neuronx takes the number of each token, and a mask.
_BERT_V2, _DISTILBERT_V2 = partial(_text, 12, 768, 2), partial(_text, 6, 768, 2)
_BERT_LARGE_V2 = partial(_text, 24, 1024, 2)
_ALBERT_V2 = partial(_text, 12, 768, 2, shared=True)

BERT, DISTILBERT = _BERT(), _DISTILBERT()  # DistilRoBERTa has the same layers
# He et al., 2016, as torchvision counts them.
RESNET50 = _convolutional(4.09, 25.6, _IMAGENET)
RESNET50_FP16 = _convolutional(4.09, 25.6, _IMAGENET, value_bytes=2)
# Bochkovskiy et al., 2020: 128.5 billion operations at 608x608; the tutorial's size.
YOLOV4 = _convolutional(64.2, 64.4, 3 * 608 * 608)
# Cao et al., 2017: ten layers of VGG-19 and six stages; 656x368 as in the tutorial, fp16.
OPENPOSE = _convolutional(242.3, 52.3, 3 * 656 * 368, value_bytes=2)

BERT_V2, BERT_LARGE_V2, DISTILBERT_V2 = _BERT_V2(), _BERT_LARGE_V2(), _DISTILBERT_V2()
VIT_BASE = _transformer(12, 197, 768, HOST_VALUE_BYTES * _IMAGENET)  # 16 px patches of 224x224
RESNET18 = _convolutional(1.81, 11.7, _IMAGENET)
RESNET152 = _convolutional(11.5, 60.2, _IMAGENET)
VGG16 = _convolutional(15.5, 138.4, _IMAGENET)
# Ronneberger et al., 2015, in the variant of milesial/Pytorch-UNet, at 224x224.
UNET = _convolutional(36.9, 31.0, _IMAGENET)
# Ultralytics' table: 20.7 billion operations at 640x640.
YOLO26S = _convolutional(10.35, 9.5, 3 * 640 * 640)


class Kind(Enum):
    """What a row is used for; the value heads its table."""

    FITTED = "row of AWS, fitted"
    MEASURED = "row of a first run, fitted"  # see tests/benchmarks/measured.py
    HELD_OUT = "row of AWS, held out"
    OTHERS = "row of others, unseen"  # the range takes it into account, the fit does not
    OPERATOR = "convolution of others, unseen"  # nearly all of it is the host's part of a call


@dataclass(frozen=True)
class Row:
    name: str
    work: Work
    batch: int
    programs: int
    in_flight: int  # calls per program
    images_per_s: float  # or sequences
    latency_ms: float  # median; of others the mean or as named
    kind: Kind
    cores_per_program: int = 1
    chips: int = 1

    @property
    def call_ms(self) -> float:
        """Between two results of one program."""
        return 1e3 * self.batch * self.programs / self.images_per_s


def _alone(name: str, work: Work, latency_ms: float, kind: Kind = Kind.OTHERS) -> Row:
    """A row without a throughput: one program, called again when its result is there."""
    return Row(name, work, 1, 1, 1, 1e3 / latency_ms, latency_ms, kind)


def _lengths(
    name: str, work: Callable[[int], Work], latencies_ms: Sequence[float]
) -> Iterator[Row]:
    """A row for each of `_LENGTHS`, as far as there are latencies."""
    for tokens, latency_ms in zip(_LENGTHS, latencies_ms):
        yield _alone(f"{name}, {tokens} tokens", work(tokens), latency_ms)


def _convolution(inputs: int, outputs: int, side: int, latency_ms: float) -> Row:
    """The issue does not name the kernel: 3x3 here. The prediction hardly depends on it."""
    weights = 9 * inputs * outputs
    product = Product(CONV, weights * side**2, inputs, outputs)
    work = Work((product,), weights, HOST_VALUE_BYTES * inputs * side**2)
    return _alone(f"{inputs} to {outputs} channels, {side}x{side}", work, latency_ms, Kind.OPERATOR)


_FIT, _CHECK = Kind.FITTED, Kind.HELD_OUT

ROWS: dict[Chip, tuple[Row, ...]] = {
    INFERENTIA: (
        Row("BERT base b1, one core", BERT, 1, 1, 1, 125.7, 7.9, _FIT),
        Row("BERT base b3, one core", BERT, 3, 1, 1, 284.7, 10.5, _FIT),
        Row("BERT base b6", BERT, 6, 4, 2, 1180.7, 40.6, _FIT),
        Row("BERT base b8", BERT, 8, 4, 2, 1095.4, 58.3, _FIT),
        Row("ResNet-50 b5", RESNET50, 5, 4, 1, 921.5, 21.6, _FIT),
        # The table says 10; its name and 8 threads in flight say 5.
        Row("ResNet-50 b5, TensorFlow, fp16", RESNET50_FP16, 5, 4, 2, 2207.0, 17.8, _FIT),
        # From JPEG to boxes, host work included.
        Row("YOLOv4 b1", YOLOV4, 1, 4, 2, 180.3, 40.0, _FIT),
        Row("OpenPose b1, TensorFlow, fp16", OPENPOSE, 1, 4, 1, 57.5, 60.3, _CHECK),
        Row("DistilBERT b6, one core", DISTILBERT, 6, 1, 1, 538.2, 11.1, _CHECK),
        Row("DistilRoBERTa b3, one core", DISTILBERT, 3, 1, 1, 417.0, 7.0, _CHECK),
        Row("DistilBERT b8", DISTILBERT, 8, 4, 2, 1876.7, 33.7, _CHECK),
        Row("DistilRoBERTa b6", DISTILBERT, 6, 4, 1, 1512.9, 15.0, _CHECK),
        # The table says 4; the tutorial compiles 6, and 21 images are in flight.
        Row("BERT base b6, tutorial", BERT, 6, 4, 1, 1056.0, 20.0, _CHECK),
        Row(
            "BERT base b1, pipeline of 16 cores",
            *(BERT, 1, 1, 12, 2009.1, 5.9, _CHECK),
            cores_per_program=16,
            chips=4,
        ),
        _alone("ViT-B/16", VIT_BASE, 9.39),
        *_lengths("BERT base", _BERT, (6.91, 8.25, 7.15, 7.16, 8.13, 9.82, 18.45)),
        *_lengths("RoBERTa", _BERT, (6.99, 8.32, 7.13, 7.25, 8.27, 9.85, 18.68)),
        *_lengths("DistilBERT", _DISTILBERT, (3.41, 3.46, 3.61, 3.69, 3.94, 5.75, 13.67)),
        *_lengths("ALBERT", _ALBERT, (3.72, 3.77, 3.78, 4.00, 4.84, 8.33, 18.48)),
        *_lengths("BERT large, p95", _BERT_LARGE, (23.91, 23.80, 24.10, 24.23, 24.99, 31.99)),
        # Shapes are read as inputs, outputs, side; the last as 3 channels in and out. So both large
        # ones move 25.2 MB, which agrees with their equal times.
        _convolution(256, 128, 14, 0.36),
        _convolution(512, 512, 7, 0.28),
        _convolution(256, 128, 128, 29.14),
        _convolution(3, 3, 1024, 28.91),
    ),
    INFERENTIA2: (
        Row("BERT base b1", BERT_V2, 1, 2, 1, 1998.2, 0.999, _FIT),
        Row("BERT base b8", BERT_V2, 8, 2, 1, 2674.2, 5.97, _FIT),
        Row("BERT large b1", BERT_LARGE_V2, 1, 2, 1, 738.6, 2.69, _FIT),
        Row("BERT large b4", BERT_LARGE_V2, 4, 2, 1, 950.0, 8.41, _FIT),
        Row("ViT-B/16 b1, one core", VIT_BASE, 1, 1, 1, 746.1, 1.32, _FIT),
        Row("ResNet-18 b1, one core", RESNET18, 1, 1, 1, 1669.8, 0.596, _FIT),
        Row("ResNet-50 b1, one core", RESNET50, 1, 1, 1, 1218.9, 0.830, _FIT),
        Row("ResNet-152 b1, one core", RESNET152, 1, 1, 1, 837.8, 1.185, _FIT),
        Row("ResNet-50 b8", RESNET50, 8, 2, 2, 4393.3, 7.28, _FIT),
        Row("UNet b1, one core", UNET, 1, 1, 1, 447.1, 2.23, _FIT),
        Row("UNet b4", UNET, 4, 2, 2, 1010.8, 15.8, _FIT),
        Row("ViT-B/16 b2", VIT_BASE, 2, 2, 2, 1955.4, 4.09, _CHECK),
        Row("DistilBERT b1", DISTILBERT_V2, 1, 2, 1, 3402.0, 0.579, _CHECK),
        Row("DistilBERT b16", DISTILBERT_V2, 16, 2, 1, 5307.9, 6.01, _CHECK),
        Row("VGG-16 b1, one core", VGG16, 1, 1, 1, 508.7, 1.956, _CHECK),
        Row("VGG-16 b8", VGG16, 8, 2, 2, 2161.4, 14.8, _CHECK),
        Row("ResNet-18 b8", RESNET18, 8, 2, 2, 6949.2, 4.59, _CHECK),
        Row("ResNet-152 b64", RESNET152, 64, 2, 2, 2449.9, 104.4, _CHECK),
        Row("BERT base b1, Trn1", BERT_V2, 1, 2, 1, 2085.5, 0.943, _CHECK),
        Row("BERT base b16, Trn1", BERT_V2, 16, 2, 1, 3421.6, 9.34, _CHECK),
        Row("BERT large b4, Trn1", BERT_LARGE_V2, 4, 2, 1, 1104.4, 7.24, _CHECK),
        Row("DistilBERT b16, Trn1", DISTILBERT_V2, 16, 2, 1, 6369.4, 5.01, _CHECK),
        _alone("ViT-B/16", VIT_BASE, 3.51),
        *_lengths("BERT base", _BERT_V2, (1.11, 1.19, 1.31, 1.60, 2.40, 4.46, 10.73)),
        *_lengths("RoBERTa", _BERT_V2, (1.10, 1.18, 1.30, 1.57, 2.40, 4.40, 10.74)),
        *_lengths("DistilBERT", _DISTILBERT_V2, (0.60, 0.62, 0.62, 0.64, 0.77, 1.36, 3.05)),
        *_lengths("ALBERT", _ALBERT_V2, (1.26, 1.33, 1.28, 1.21, 1.57, 3.11, 7.15)),
        *_lengths("BERT large", _BERT_LARGE_V2, (3.55, 3.01, 3.36, 3.94, 6.32, 12.59, 28.65)),
        _alone("YOLO26s, float32, SDK 2.28", YOLO26S, 1e3 / 64.1),
        _alone("YOLO26s, float32, SDK 2.29", YOLO26S, 1e3 / 76.7),
    ),
}
