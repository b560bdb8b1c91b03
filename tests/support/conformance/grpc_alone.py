"""Calls of gRPC alone: streams, and values in fields of the messages."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import tritonclient.grpc as over_grpc

from tests.support.conformance.client import IMAGES, MODEL, Call, Outcome, input_of


def stream(client: Any) -> Outcome:
    """Three requests, the second for an output that is not there: answers in order."""
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for i, name in enumerate(("depth", "nope", "depth")):
        wanted = [over_grpc.InferRequestedOutput(name)]
        sent = [input_of(client, IMAGES[:1])]
        client.async_stream_infer(MODEL, sent, outputs=wanted, request_id=str(i))
    found = [answers.get(timeout=30) for _ in range(3)]
    client.stop_stream()
    return [
        "error" if error else [result.get_response().id, result.as_numpy("depth")]
        for result, error in found
    ]


def stream_of_an_unknown_model(client: Any) -> Outcome:
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    client.async_stream_infer("nope", [input_of(client, IMAGES[:1])])
    _result, error = answers.get(timeout=30)
    client.stop_stream()
    return "error" if error else "no error"


def contents(client: Any) -> Outcome:
    """Values in the message's own fields instead of raw bytes."""
    from tritonclient.grpc import service_pb2

    request = service_pb2.ModelInferRequest(model_name=MODEL)
    tensor = request.inputs.add(name="image", datatype="UINT8", shape=list(IMAGES.shape))
    tensor.contents.uint_contents.extend(IMAGES.reshape(-1).tolist())
    found = client._client_stub.ModelInfer(request)
    depth = np.frombuffer(found.raw_output_contents[0], np.float32)
    return depth.reshape(list(found.outputs[0].shape))


GRPC: list[Call] = [stream, stream_of_an_unknown_model, contents]
