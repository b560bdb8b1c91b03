"""The gRPC server: its messages, its limits, its token, TLS and the way it stops."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from depth.errors import InputError
from serve.service.models import Models
from serve.service.service import Service
from serve.service.settings import Settings
from serve.service.v2.door import GrpcDoor
from serve.service.v2.rpc.calls import STREAMS
from serve.service.v2.rpc.messages import MESSAGES, message
from tests.support.v2_services import Address, depth_of, model_of, pixels, serving

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import grpc
    import tritonclient.grpc as over_grpc
    from tritonclient.grpc import model_config_pb2, service_pb2
    from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.filterwarnings("ignore")
TOKEN = "0123456789abcdef0123"  # noqa: S105
HEADERS = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def at() -> Iterator[Address]:
    with serving(model_of(marks=False)) as found:
        yield found


def client_of(at: Address) -> Any:
    return over_grpc.InferenceServerClient(at.grpc)


def image(array: Any) -> Any:
    made = over_grpc.InferInput("image", list(array.shape), "UINT8")
    made.set_data_from_numpy(array)
    return made


def theirs(name: str) -> Any:
    """The descriptor of a message in the classes that tritonclient was generated with."""
    file = model_config_pb2 if name in ("ModelConfig", "ModelInput", "ModelOutput") else service_pb2
    found = file
    for part in name.split("."):
        found = getattr(found, part)
    return found.DESCRIPTOR


@pytest.mark.parametrize("name", MESSAGES)
def test_fields_have_the_numbers_and_types_of_the_protocol(name: str) -> None:
    ours, other = message(name).DESCRIPTOR, theirs(name)
    assert ours.full_name == other.full_name
    assert ours.file.pool is not other.file.pool
    for field in ours.fields:
        known = other.fields_by_name[field.name]
        for what in ("number", "type", "label"):
            assert getattr(field, what) == getattr(known, what), field.name
        for kind in ("message_type", "enum_type", "containing_oneof"):
            one, two = getattr(field, kind), getattr(known, kind)
            assert (one and one.full_name) == (two and two.full_name), field.name
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            assert known.message_type.GetOptions().map_entry
            value, same = (each.message_type.fields_by_name["value"] for each in (field, known))
            assert value.message_type.full_name == same.message_type.full_name
        if field.enum_type is not None:
            numbers = {value.name: value.number for value in known.enum_type.values}
            assert {value.name: value.number for value in field.enum_type.values} == numbers


def test_a_message_survives_the_other_side() -> None:
    ours = message("ModelInferRequest")(model_name="a", raw_input_contents=[b"x"])
    ours.parameters["focal_px"].double_param = 2.5
    ours.inputs.add(name="image", datatype="UINT8", shape=[1, -1])
    read = service_pb2.ModelInferRequest.FromString(ours.SerializeToString())
    assert read.parameters["focal_px"].double_param == 2.5
    assert list(read.inputs[0].shape) == [1, -1]
    assert message("ModelInferRequest").FromString(read.SerializeToString()) == ours


def test_unknown_methods_are_unimplemented(at: Address) -> None:
    with pytest.raises(InferenceServerException, match="UNIMPLEMENTED"):
        client_of(at).get_system_shared_memory_status()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.raw_input_contents.append(b"x"), "2 raw_input_contents for 1 inputs"),
        (lambda r: r.inputs[0].shape.append(-1), "sizes of 0 or more"),
        (lambda r: r.inputs[0].shape.extend([1 << 62] * 3), "over 4294967296"),
        (lambda r: setattr(r.inputs[0], "datatype", "FP8"), "datatype 'FP8'"),
        (lambda r: setattr(r.inputs[0], "datatype", "BYTES"), "BYTES"),
        (lambda r: r.inputs[0].contents.uint_contents.append(1), "both contents and raw"),
        (lambda r: r.parameters["focal_px"], "has no value"),
        (lambda r: r.raw_input_contents.pop(), "0 values in data"),
        (lambda r: r.inputs.pop(), "1 raw_input_contents for 0 inputs"),
    ],
)
def test_requests_that_lie_are_refused(at: Address, change: Any, said: str) -> None:
    array = pixels()
    request = service_pb2.ModelInferRequest(
        model_name="depth", raw_input_contents=[array.tobytes()]
    )
    request.inputs.add(name="image", datatype="UINT8", shape=list(array.shape))
    change(request)
    client = client_of(at)  # without it the channel would close
    with pytest.raises(grpc.RpcError) as raised:
        client._client_stub.ModelInfer(request)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert said in raised.value.details()


def test_large_messages_are_refused() -> None:
    with serving(model_of(), grpc_message_bytes=10_000) as at:
        client = client_of(at)
        client.infer("depth", [image(pixels(count=2))])
        with pytest.raises(InferenceServerException, match="RESOURCE_EXHAUSTED"):
            client.infer("depth", [image(pixels(count=3))])


def test_a_token_is_asked_for() -> None:
    with serving(model_of(), token=TOKEN) as at:
        client = client_of(at)
        assert client.is_server_live()
        assert client.is_server_ready()
        for headers in ({}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": TOKEN}):
            with pytest.raises(InferenceServerException, match="UNAUTHENTICATED.*Bearer TOKEN"):
                client.get_server_metadata(headers=headers)
            with pytest.raises(InferenceServerException, match="UNAUTHENTICATED"):
                client.infer("depth", [image(pixels())], headers=headers)
        assert client.infer("depth", [image(pixels())], headers=HEADERS)


def test_streams_need_the_token_too() -> None:
    with serving(model_of(), token=TOKEN) as at:
        client, found = client_of(at), threading.Event()
        errors: list[Any] = []

        def answered(result: Any, error: Any) -> None:
            errors.append(error or result)
            found.set()

        client.start_stream(answered)  # refused before the first request
        assert found.wait(20)
        assert "UNAUTHENTICATED" in str(errors[0])


def test_the_last_answer_of_a_stream_request_is_marked(at: Address) -> None:
    client, found = client_of(at), threading.Event()
    results: list[Any] = []
    client.start_stream(lambda result, error: (results.append(error or result), found.set()))
    client.async_stream_infer(
        "depth", [image(pixels())], enable_empty_final_response=True, request_id="x"
    )
    assert found.wait(20)
    client.stop_stream()
    assert results[0].get_response().parameters["triton_final_response"].bool_param


def test_streams_are_limited(at: Address) -> None:
    client = client_of(at)
    stub = client._client_stub
    ends = threading.Event()

    def nothing() -> Iterator[Any]:
        ends.wait(30)
        yield from ()

    streams = [stub.ModelStreamInfer(nothing()) for _ in range(STREAMS + 1)]
    try:
        deadline_s = time.monotonic() + 20
        while not any(stream.done() for stream in streams) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        ended = [stream for stream in streams if stream.done()]
        assert [stream.code() for stream in ended] == [grpc.StatusCode.RESOURCE_EXHAUSTED]
        assert client_of(at).is_server_live()
    finally:
        ends.set()


def test_a_busy_model_is_said_to_be() -> None:
    with serving(model_of(duration_s=0.3, queue=0)) as at:
        client = client_of(at)
        with pytest.raises(InferenceServerException, match="RESOURCE_EXHAUSTED|1 to 4"):
            client.infer("depth", [image(pixels(count=5))])
        failures: list[Any] = []
        pool = [threading.Thread(target=_try, args=[at, 4, failures.append]) for _ in range(3)]
        for thread in pool:
            thread.start()
        for thread in pool:
            thread.join()
        assert failures
        assert all("RESOURCE_EXHAUSTED" in str(each) for each in failures)
        model = at.service.models.find()
        deadline_s = time.monotonic() + 10
        while (model.waiting, model.running) != (0, 0) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert (model.waiting, model.running) == (0, 0)


def _try(at: Address, count: int, failed: Any) -> None:
    try:
        client_of(at).infer("depth", [image(pixels(count=count))])
    except InferenceServerException as error:
        failed(error)


def test_stopping_finishes_calls_and_ends_idle_streams() -> None:
    with serving(model_of(duration_s=0.5, marks=False)) as at:
        service = at.service
        door = GrpcDoor(service)
        client = over_grpc.InferenceServerClient(f"127.0.0.1:{door.port}")
        ended = threading.Event()
        results: list[Any] = []
        client.start_stream(lambda result, error: ended.set() if error else results.append(result))
        images = pixels()
        thread = threading.Thread(
            target=lambda: results.append(client.infer("depth", [image(images)]))
        )
        thread.start()
        while not service.models.find().running:
            time.sleep(0.005)
        begun_s = time.monotonic()
        door.begin_stop(20.0)
        door.close()
        thread.join()
        assert time.monotonic() - begun_s < 10
        np.testing.assert_allclose(results[0].as_numpy("depth"), depth_of(images), atol=1e-5)
        assert ended.wait(10)
        with pytest.raises(InferenceServerException):
            over_grpc.InferenceServerClient(f"127.0.0.1:{door.port}").get_server_metadata()


def test_a_port_that_is_taken_is_said_so(at: Address) -> None:
    port = int(at.grpc.rpartition(":")[2])
    with pytest.raises(InputError, match="--grpc-port"):
        GrpcDoor(Service(Models(), Settings(grpc_port=port)))


def test_no_port_no_server() -> None:
    door = GrpcDoor(Service(Models(), Settings()))
    assert door.port is None
    door.close()
