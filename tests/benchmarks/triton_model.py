"""A real Triton with a model that has our inputs and outputs, in Triton's own environment.

    .tools/triton/bin/python tests/benchmarks/triton_model.py HTTP_PORT GRPC_PORT METRICS_PORT

Knows nothing of ours: numpy computes the depth that tests/support/v2_services.py simulates.
"""

import sys

import numpy as np
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig, TritonSecurityConfig


def depth_of(image):
    normal = (image.astype(np.float64) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    red, green, blue = np.moveaxis(normal.astype(np.float32), -1, 0)
    return red - 2 * green + 3 * blue


def from_ppm(data):
    _, size, _, pixels = data.split(b"\n", 3)
    width, height = map(int, size.split())
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def answer(request):
    if ("image" in request) == ("encoded" in request):
        raise ValueError("expected either image or encoded")
    images = request["image"] if "image" in request else map(from_ppm, request["encoded"])
    return {"depth": np.stack([depth_of(image) for image in images])}


def main():
    http, grpc, metrics = map(int, sys.argv[1:])
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=http,
        grpc_address="127.0.0.1",
        grpc_port=grpc,
        metrics_port=metrics,
    )
    with Triton(
        config=config, security_config=TritonSecurityConfig(restricted_endpoints=[])
    ) as triton:
        triton.bind(
            "depth",
            lambda requests: [answer(request) for request in requests],
            inputs=[
                Tensor(name="image", dtype=np.uint8, shape=(-1, -1, -1, 3), optional=True),
                Tensor(name="encoded", dtype=np.bytes_, shape=(-1,), optional=True),
            ],
            outputs=[Tensor(name="depth", dtype=np.float32, shape=(-1, -1, -1))],
            config=ModelConfig(batching=False),
        )
        triton.serve()


if __name__ == "__main__":
    main()
