"""Calls of gRPC in the metrics, and the time in which their messages have to arrive."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from depth.errors import InputError
from serve.service.v2.rpc.arrivals import Arrivals
from serve.service.v2.rpc.messages import SERVICE
from tests.support.processes import until
from tests.support.v2_services import Address, model_of, pixels, serving

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import grpc
    import tritonclient.grpc as over_grpc
    from tritonclient.grpc import service_pb2
    from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.filterwarnings("ignore")
TOKEN = "0123456789abcdef0123"  # noqa: S105
THREADS = 32


def count(at: Address, method: str, status: str, model: str = "") -> float:
    """Calls in the metrics."""
    labels = f'method="POST",model="{model}",path="{method}",status="{status}",transport="grpc"'
    return number(at, f"depth_requests_total{{{labels}}}")


def number(at: Address, name: str) -> float:
    for line in at.service.metrics.text().decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[-1])
    return 0.0


def image(count: int = 1) -> Any:
    array = pixels(count=count)
    made = over_grpc.InferInput("image", list(array.shape), "UINT8")
    made.set_data_from_numpy(array)
    return made


def test_calls_are_counted_by_method_status_and_model() -> None:
    path = f"/{SERVICE}/ModelInfer"
    with serving(model_of()) as at:
        client = over_grpc.InferenceServerClient(at.grpc)
        client.infer("depth", [image()])
        for wrong in ("made-up", "made-up-too"):
            with pytest.raises(InferenceServerException):
                client.infer(wrong, [image()])
        with pytest.raises(InferenceServerException):
            client.infer("depth", [image(count=5)], model_version="1", outputs=[unknown_output()])
        with pytest.raises(InferenceServerException, match="no such method"):
            client.get_system_shared_memory_status()
        assert until(lambda: count(at, "other", "UNIMPLEMENTED") == 1)
        assert count(at, path, "OK", "depth") == 1
        assert count(at, path, "NOT_FOUND") == 2
        assert count(at, path, "INVALID_ARGUMENT", "depth") == 1
        assert number(at, 'depth_errors_total{kind="UnknownModelError"}') == 2
        assert number(at, f'depth_request_seconds_count{{path="{path}",transport="grpc"}}') == 4
        assert number(at, 'depth_open_requests{transport="grpc"}') == 0
        assert "made-up" not in at.service.metrics.text().decode()


def unknown_output() -> Any:
    return over_grpc.InferRequestedOutput("none")


def test_each_request_of_a_stream_is_counted() -> None:
    path = f"/{SERVICE}/ModelStreamInfer"
    with serving(model_of()) as at:
        client = over_grpc.InferenceServerClient(at.grpc)
        results: list[Any] = []
        client.start_stream(lambda result, error: results.append(error or result))
        for model in ("depth", "none", "depth"):
            client.async_stream_infer(model, [image()])
        assert until(lambda: len(results) == 3)
        client.stop_stream()
        assert until(lambda: number(at, 'depth_open_requests{transport="grpc"}') == 0)
        assert (count(at, path, "OK", "depth"), count(at, path, "NOT_FOUND")) == (2, 1)


def test_a_call_without_the_token_is_counted() -> None:
    with serving(model_of(), token=TOKEN) as at:
        client = over_grpc.InferenceServerClient(at.grpc)
        with pytest.raises(InferenceServerException):
            client.get_server_metadata()
        assert until(lambda: count(at, "other", "UNAUTHENTICATED") == 1)


@pytest.mark.parametrize("busy", [False, True])
def test_a_caller_that_goes_is_counted_and_is_no_fault(
    caplog: pytest.LogCaptureFixture, busy: bool
) -> None:
    with serving(model_of(duration_s=0.5)) as at:
        client = over_grpc.InferenceServerClient(at.grpc)
        calls = [
            client.async_infer("depth", [image(count=4)], lambda **_: None)
            for _ in range(6 if busy else 1)
        ]
        assert until(lambda: number(at, 'depth_open_requests{transport="grpc"}') == len(calls))
        assert until(lambda: at.service.models.find().running > 0)
        calls[-1].cancel()
        path = f"/{SERVICE}/ModelInfer"
        # Of no model, if the call went before its message was read.
        models = ("depth", "")
        assert until(lambda: sum(count(at, path, "CANCELLED", name) for name in models) == 1)
        assert number(at, 'depth_errors_total{kind="GoneError"}') == 1
        for call in calls[:-1]:
            call.cancel()
    assert not caplog.messages


@pytest.fixture
def silent() -> Iterator[threading.Event]:
    """Set at the end, so that callers who never send a message end."""
    ends = threading.Event()
    yield ends
    ends.set()


def test_calls_that_never_send_their_message_give_their_threads_back(
    silent: threading.Event,
) -> None:
    def nothing() -> Iterator[Any]:
        silent.wait(30)
        yield from ()

    with serving(model_of(), body_timeout_s=0.5) as at, grpc.insecure_channel(at.grpc) as channel:
        method = channel.stream_unary(
            f"/{SERVICE}/ServerMetadata",
            service_pb2.ServerMetadataRequest.SerializeToString,
            service_pb2.ServerMetadataResponse.FromString,
        )
        calls = [method.future(nothing()) for _ in range(THREADS)]
        opened = 'depth_open_requests{transport="grpc"}'
        assert until(lambda: number(at, opened) == THREADS)
        begun_s = time.monotonic()
        client = over_grpc.InferenceServerClient(at.grpc)
        assert client.is_server_live()  # which had to wait for a thread
        assert time.monotonic() - begun_s < 10
        assert {call.code() for call in calls} == {grpc.StatusCode.CANCELLED}
        assert until(lambda: number(at, opened) == 0)
        path = f"/{SERVICE}/ServerMetadata"
        assert count(at, path, "DEADLINE_EXCEEDED") == THREADS
        assert method(iter([service_pb2.ServerMetadataRequest()])).name == "depth"


def test_no_thread_is_left_after_the_end() -> None:
    def watching() -> list[str]:
        return [each.name for each in threading.enumerate() if each.name == "grpc arrivals"]

    before = len(watching())
    with serving(model_of(), body_timeout_s=0.2):
        assert len(watching()) == before + 1
    assert until(lambda: len(watching()) == before)


def test_a_call_without_a_message_is_refused() -> None:
    with serving(model_of()) as at, grpc.insecure_channel(at.grpc) as channel:
        method = channel.stream_unary(
            f"/{SERVICE}/ServerLive",
            service_pb2.ServerLiveRequest.SerializeToString,
            service_pb2.ServerLiveResponse.FromString,
        )
        with pytest.raises(grpc.RpcError, match="no message"):
            method(iter(()))


def test_a_message_in_time_ends_the_wait() -> None:
    arrivals = Arrivals(0.05)
    arrivals.start()
    context = Context()
    assert arrivals.message(iter(["x"]), context) == "x"
    with pytest.raises(InputError, match="no message"):
        arrivals.message(iter(()), context)
    time.sleep(0.2)
    arrivals.stop()
    assert not context.cancelled


class Context:
    """Of a call, as far as `Arrivals` uses it."""

    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True
