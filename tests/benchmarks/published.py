"""Published throughputs of other networks on these chips: what the estimates are fitted to.

Rows: benchmark pages of the AWS Neuron SDK documentation. Inf1 as of SDK 2.20 (September 2024; the
TensorFlow rows SDK 2.12), Inf2 of SDK 2.21 to 2.27, Trn1 of SDK 2.27 and 2.28. Calls in flight
follow from throughput x median latency, which a test checks for every row.

Left aside, because the row does not say what ran: DistilBERT in TensorFlow on 16 cores (how a batch
of 16 is split), DistilBERT sst-2 in the latency table (5 images at 10.0 ms by one worker cannot be
593 per second), CLIP (one image against 100 texts), albert, the perceivers and diffusion models.
"""

from __future__ import annotations

from dataclasses import dataclass

from compile.plan.work import HOST_VALUE_BYTES, Work
from compile.products import ATTENTION, CONV, LINEAR, Product
from depth.chips import INFERENTIA, INFERENTIA2, Chip

_SEQUENCE = 128  # tokens, in every row of a text network
_WIDE = 128  # no narrower than either array


def _transformer(layers: int, tokens: int, dim: int, input_bytes: float) -> Work:
    """12 dim^2 weights per layer; sequences are short enough for scores to stay in a core."""
    weights = 12 * layers * dim**2
    products = (
        Product(LINEAR, weights * tokens, _WIDE, _WIDE),
        Product(ATTENTION, 2 * layers * tokens**2 * dim, _WIDE, _WIDE),
    )
    return Work(products, weights, input_bytes)


def _text(layers: int, dim: int, embeds_on_host: bool) -> Work:
    """torch-neuron leaves the embedding to the host, which hands over its result in float32."""
    values = _SEQUENCE * (dim if embeds_on_host else 2)  # or the numbers of the tokens, and a mask
    return _transformer(layers, _SEQUENCE, dim, HOST_VALUE_BYTES * values)


def _convolutional(gmac: float, million_weights: float, values: int, value_bytes: int = 4) -> Work:
    products = (Product(CONV, round(gmac * 1e9), _WIDE, _WIDE),)
    return Work(products, million_weights * 1e6, value_bytes * values)


_IMAGENET = 3 * 224 * 224

BERT = _text(12, 768, embeds_on_host=True)
DISTILBERT = _text(6, 768, embeds_on_host=True)  # DistilRoBERTa has the same layers
# He et al., 2016, as torchvision counts them.
RESNET50 = _convolutional(4.09, 25.6, _IMAGENET)
RESNET50_FP16 = _convolutional(4.09, 25.6, _IMAGENET, value_bytes=2)
# Bochkovskiy et al., 2020: 128.5 billion operations at 608x608; the tutorial's size.
YOLOV4 = _convolutional(64.2, 64.4, 3 * 608 * 608)
# Cao et al., 2017: ten layers of VGG-19 and six stages; 656x368 as in the tutorial, fp16.
OPENPOSE = _convolutional(242.3, 52.3, 3 * 656 * 368, value_bytes=2)

BERT_V2 = _text(12, 768, embeds_on_host=False)
BERT_LARGE_V2 = _text(24, 1024, embeds_on_host=False)
DISTILBERT_V2 = _text(6, 768, embeds_on_host=False)
VIT_BASE = _transformer(12, 197, 768, HOST_VALUE_BYTES * _IMAGENET)  # 16 px patches of 224x224
RESNET18 = _convolutional(1.81, 11.7, _IMAGENET)
RESNET152 = _convolutional(11.5, 60.2, _IMAGENET)
VGG16 = _convolutional(15.5, 138.4, _IMAGENET)
# Ronneberger et al., 2015, in the variant of milesial/Pytorch-UNet, at 224x224.
UNET = _convolutional(36.9, 31.0, _IMAGENET)


@dataclass(frozen=True)
class Row:
    name: str
    work: Work
    batch: int
    programs: int
    in_flight: int  # calls per program
    images_per_s: float  # or sequences
    latency_ms: float  # median
    calibrates: bool  # or it is left out, to check the fit with
    cores_per_program: int = 1
    chips: int = 1

    @property
    def call_ms(self) -> float:
        """Between two results of one program."""
        return 1e3 * self.batch * self.programs / self.images_per_s


ROWS: dict[Chip, tuple[Row, ...]] = {
    INFERENTIA: (
        Row("BERT base b1, one core", BERT, 1, 1, 1, 125.7, 7.9, True),
        Row("BERT base b3, one core", BERT, 3, 1, 1, 284.7, 10.5, True),
        Row("BERT base b6", BERT, 6, 4, 2, 1180.7, 40.6, True),
        Row("BERT base b8", BERT, 8, 4, 2, 1095.4, 58.3, True),
        Row("ResNet-50 b5", RESNET50, 5, 4, 1, 921.5, 21.6, True),
        # The table says 10; its name and 8 threads in flight say 5.
        Row("ResNet-50 b5, TensorFlow, fp16", RESNET50_FP16, 5, 4, 2, 2207.0, 17.8, True),
        # From JPEG to boxes, host work included.
        Row("YOLOv4 b1", YOLOV4, 1, 4, 2, 180.3, 40.0, True),
        Row("OpenPose b1, TensorFlow, fp16", OPENPOSE, 1, 4, 1, 57.5, 60.3, False),
        Row("DistilBERT b6, one core", DISTILBERT, 6, 1, 1, 538.2, 11.1, False),
        Row("DistilRoBERTa b3, one core", DISTILBERT, 3, 1, 1, 417.0, 7.0, False),
        Row("DistilBERT b8", DISTILBERT, 8, 4, 2, 1876.7, 33.7, False),
        Row("DistilRoBERTa b6", DISTILBERT, 6, 4, 1, 1512.9, 15.0, False),
        # The table says 4; the tutorial compiles 6, and 21 images are in flight.
        Row("BERT base b6, tutorial", BERT, 6, 4, 1, 1056.0, 20.0, False),
        Row(
            "BERT base b1, pipeline of 16 cores",
            *(BERT, 1, 1, 12, 2009.1, 5.9, False),
            cores_per_program=16,
            chips=4,
        ),
    ),
    INFERENTIA2: (
        Row("BERT base b1", BERT_V2, 1, 2, 1, 1998.2, 0.999, True),
        Row("BERT base b8", BERT_V2, 8, 2, 1, 2674.2, 5.97, True),
        Row("BERT large b1", BERT_LARGE_V2, 1, 2, 1, 738.6, 2.69, True),
        Row("BERT large b4", BERT_LARGE_V2, 4, 2, 1, 950.0, 8.41, True),
        Row("ViT-B/16 b1, one core", VIT_BASE, 1, 1, 1, 746.1, 1.32, True),
        Row("ResNet-18 b1, one core", RESNET18, 1, 1, 1, 1669.8, 0.596, True),
        Row("ResNet-50 b1, one core", RESNET50, 1, 1, 1, 1218.9, 0.830, True),
        Row("ResNet-152 b1, one core", RESNET152, 1, 1, 1, 837.8, 1.185, True),
        Row("ResNet-50 b8", RESNET50, 8, 2, 2, 4393.3, 7.28, True),
        Row("UNet b1, one core", UNET, 1, 1, 1, 447.1, 2.23, True),
        Row("UNet b4", UNET, 4, 2, 2, 1010.8, 15.8, True),
        Row("ViT-B/16 b2", VIT_BASE, 2, 2, 2, 1955.4, 4.09, False),
        Row("DistilBERT b1", DISTILBERT_V2, 1, 2, 1, 3402.0, 0.579, False),
        Row("DistilBERT b16", DISTILBERT_V2, 16, 2, 1, 5307.9, 6.01, False),
        Row("VGG-16 b1, one core", VGG16, 1, 1, 1, 508.7, 1.956, False),
        Row("VGG-16 b8", VGG16, 8, 2, 2, 2161.4, 14.8, False),
        Row("ResNet-18 b8", RESNET18, 8, 2, 2, 6949.2, 4.59, False),
        Row("ResNet-152 b64", RESNET152, 64, 2, 2, 2449.9, 104.4, False),
        Row("BERT base b1, Trn1", BERT_V2, 1, 2, 1, 2085.5, 0.943, False),
        Row("BERT base b16, Trn1", BERT_V2, 16, 2, 1, 3421.6, 9.34, False),
        Row("BERT large b4, Trn1", BERT_LARGE_V2, 4, 2, 1, 1104.4, 7.24, False),
        Row("DistilBERT b16, Trn1", DISTILBERT_V2, 16, 2, 1, 6369.4, 5.01, False),
    ),
}
