"""Calls that tritonclient has over HTTP and over gRPC."""

from __future__ import annotations

from typing import Any

from tests.support.conformance.client import (
    FILES,
    IMAGES,
    MODEL,
    Call,
    Outcome,
    as_dict,
    infer_of,
    input_of,
)


def live(client: Any) -> Outcome:
    return client.is_server_live()


def ready(client: Any) -> Outcome:
    return client.is_server_ready()


def model_ready(client: Any) -> Outcome:
    return [client.is_model_ready(MODEL), client.is_model_ready(MODEL, "1")]


def unknown_model_ready(client: Any) -> Outcome:
    return client.is_model_ready("nope")


def unknown_version_ready(client: Any) -> Outcome:
    return client.is_model_ready(MODEL, "7")


def server_metadata(client: Any) -> Outcome:
    found = as_dict(client.get_server_metadata())
    has = "binary_tensor_data" in found["extensions"], "model_repository" in found["extensions"]
    return [sorted(found), *has]


def model_metadata(client: Any) -> Outcome:
    found = as_dict(client.get_model_metadata(MODEL))
    tensors = found["inputs"] + found["outputs"]
    shapes = [[t["name"], t["datatype"], list(map(int, t["shape"]))] for t in tensors]
    return [found["name"], found["versions"], sorted(shapes)]


def unknown_model_metadata(client: Any) -> Outcome:
    return client.get_model_metadata("nope")


def unknown_version_metadata(client: Any) -> Outcome:
    return client.get_model_metadata(MODEL, "7")


def model_config(client: Any) -> Outcome:
    found = as_dict(client.get_model_config(MODEL))
    found = found.get("config", found)
    tensors = [
        [each["name"], each["data_type"], list(map(int, each["dims"]))]
        for each in found["input"] + found["output"]
    ]
    return [found["name"], found.get("max_batch_size", 0), sorted(tensors)]


def unknown_model_config(client: Any) -> Outcome:
    return client.get_model_config("nope")


def infer(client: Any) -> Outcome:
    found = infer_of(client, request_id="7")
    response = as_dict(found.get_response())
    return [found.as_numpy("depth"), response["id"], response["model_version"]]


def infer_without_id(client: Any) -> Outcome:
    return as_dict(infer_of(client).get_response()).get("id")


def infer_of_a_version(client: Any) -> Outcome:
    return infer_of(client, model_version="1").as_numpy("depth")


def infer_of_files(client: Any) -> Outcome:
    return infer_of(client, input_of(client, FILES, "encoded", "BYTES")).as_numpy("depth")


def infer_with_outputs(client: Any) -> Outcome:
    wanted = [client.module.InferRequestedOutput("depth")]
    return infer_of(client, outputs=wanted).as_numpy("depth")


def infer_with_a_timeout(client: Any) -> Outcome:
    return infer_of(client, timeout=50_000_000).as_numpy("depth")


def infer_unknown_model(client: Any) -> Outcome:
    return infer_of(client, model="nope")


def infer_unknown_version(client: Any) -> Outcome:
    return infer_of(client, model_version="7")


def infer_bad_version(client: Any) -> Outcome:
    return infer_of(client, model_version="seven")


def infer_unknown_output(client: Any) -> Outcome:
    return infer_of(client, outputs=[client.module.InferRequestedOutput("nope")])


def infer_unknown_input(client: Any) -> Outcome:
    return infer_of(client, input_of(client, IMAGES, "nope"))


def infer_other_datatype(client: Any) -> Outcome:
    return infer_of(client, input_of(client, IMAGES.astype("f4"), "image", "FP32"))


def infer_other_shape(client: Any) -> Outcome:
    return infer_of(client, input_of(client, IMAGES[..., :2]))


def infer_other_rank(client: Any) -> Outcome:
    return infer_of(client, input_of(client, IMAGES[0]))


def infer_classes(client: Any) -> Outcome:
    wanted = [client.module.InferRequestedOutput("depth", class_count=2)]
    return infer_of(client, outputs=wanted)


def infer_from_shared_memory(client: Any) -> Outcome:
    made = client.module.InferInput("image", list(IMAGES.shape), "UINT8")
    made.set_shared_memory("nope", IMAGES.nbytes)
    return infer_of(client, made)


def statistics_count(client: Any) -> Outcome:
    def counts() -> tuple[int, int]:
        found = as_dict(client.get_inference_statistics(MODEL))["model_stats"][0]
        return int(found["inference_stats"]["success"]["count"]), found["name"]

    before, name = counts()
    infer_of(client)
    return [counts()[0] - before, name]


def unknown_model_statistics(client: Any) -> Outcome:
    return client.get_inference_statistics("nope")


def repository_index(client: Any) -> Outcome:
    found = as_dict(client.get_model_repository_index())
    rows = found.get("models", []) if isinstance(found, dict) else found
    return [[row["name"], row["version"], row["state"]] for row in rows]


def load_unknown_model(client: Any) -> Outcome:
    return client.load_model("nope")


def unload_unknown_model(client: Any) -> Outcome:
    return client.unload_model("nope")


SHARED: list[Call] = [
    live,
    ready,
    model_ready,
    unknown_model_ready,
    unknown_version_ready,
    server_metadata,
    model_metadata,
    unknown_model_metadata,
    unknown_version_metadata,
    model_config,
    unknown_model_config,
    infer,
    infer_without_id,
    infer_of_a_version,
    infer_of_files,
    infer_with_outputs,
    infer_with_a_timeout,
    infer_unknown_model,
    infer_unknown_version,
    infer_bad_version,
    infer_unknown_output,
    infer_unknown_input,
    infer_other_datatype,
    infer_other_shape,
    infer_other_rank,
    infer_classes,
    infer_from_shared_memory,
    statistics_count,
    unknown_model_statistics,
    repository_index,
    load_unknown_model,
    unload_unknown_model,
]
