"""The methods of the protocol over gRPC."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from typing import Any

from serve.errors import QueueFullError
from serve.service.asgi.noted import Noted
from serve.service.failures import Failure, failure_of
from serve.service.models import NotReadyError, UnknownModelError
from serve.service.v2.infer import InferAnswer, planned
from serve.service.v2.protocol import Protocol
from serve.service.v2.request import InferRequest
from serve.service.v2.rpc.messages import message
from serve.service.v2.rpc.record import CallRecord, note_failure, note_gone
from serve.service.v2.rpc.wire import filled, infer_request, infer_response, parameters_of

logger = logging.getLogger(__name__)

INFERENCES = 20  # at a time; a thread waits for each
STREAMS = 8  # at a time; a thread reads each

Context = Any  # grpc.ServicerContext has no types


@dataclass(frozen=True)
class Call:
    """A request of gRPC under way: the context of its call, and what is noted of it."""

    context: Context
    noted: Noted


class Calls:
    """The methods of the service. Each gets a request and its call."""

    def __init__(self, protocol: Protocol, record: CallRecord) -> None:
        self._protocol = protocol
        self._record = record
        self._inferences = BoundedSemaphore(INFERENCES)
        self._streams = BoundedSemaphore(STREAMS)
        self._idle: set[Context] = set()  # of streams that wait for a request
        self._ended = False
        self._lock = Lock()

    def server_live(self, _request: Any, _call: Call) -> Any:
        return filled("ServerLiveResponse", {"live": True})

    def server_ready(self, _request: Any, _call: Call) -> Any:
        ready = self._protocol.service.status == "ready"
        return filled("ServerReadyResponse", {"ready": ready})

    def model_ready(self, request: Any, _call: Call) -> Any:
        """Not ready, rather than not found, as Triton says of an unknown model."""
        try:
            self._protocol.check_ready(request.name, request.version)
        except (UnknownModelError, NotReadyError):
            return filled("ModelReadyResponse", {"ready": False})
        return filled("ModelReadyResponse", {"ready": True})

    def server_metadata(self, _request: Any, _call: Call) -> Any:
        return filled("ServerMetadataResponse", self._protocol.server())

    def model_metadata(self, request: Any, _call: Call) -> Any:
        found = self._protocol.metadata(request.name, request.version)
        return filled("ModelMetadataResponse", found)

    def model_config(self, request: Any, _call: Call) -> Any:
        config = self._protocol.config(request.name, request.version)
        return filled("ModelConfigResponse", {"config": config})

    def model_statistics(self, request: Any, _call: Call) -> Any:
        found = self._protocol.stats(request.name, request.version)
        return filled("ModelStatisticsResponse", found)

    def repository_index(self, request: Any, _call: Call) -> Any:
        return filled("RepositoryIndexResponse", {"models": self._protocol.index(request.ready)})

    def repository_model_load(self, request: Any, _call: Call) -> Any:
        self._protocol.load(request.model_name, parameters_of(request.parameters))
        return filled("RepositoryModelLoadResponse", {})

    def repository_model_unload(self, request: Any, _call: Call) -> Any:
        self._protocol.unload(request.model_name, parameters_of(request.parameters))
        return filled("RepositoryModelUnloadResponse", {})

    def model_infer(self, request: Any, call: Call) -> Any:
        return infer_response(self._inferred(infer_request(request), call))

    def model_stream_infer(self, requests: Iterator[Any], context: Context) -> Iterator[Any]:
        """One answer per request, in their order. A request that fails ends no stream."""
        with _taken(self._streams, f"{STREAMS} streams are open"):
            for request in self._received(requests, context):
                with self._record.call("ModelStreamInfer") as noted:
                    made = self._streamed(request, Call(context, noted))
                yield made

    def end_streams(self) -> None:
        """End the streams that wait for a request, and each other stream after its answer."""
        with self._lock:
            self._ended = True
            for context in self._idle:
                context.cancel()

    def _received(self, requests: Iterator[Any], context: Context) -> Iterator[Any]:
        while True:
            with self._lock:
                if self._ended:
                    return
                self._idle.add(context)
            try:
                request = next(requests, None)
            finally:
                with self._lock:
                    self._idle.discard(context)
            if request is None:
                return
            yield request

    def _streamed(self, request: Any, call: Call) -> Any:
        made = message("ModelStreamInferResponse")()
        try:
            found = infer_response(self._inferred(infer_request(request), call))
            if parameters_of(request.parameters).get("triton_enable_empty_final_response"):
                found.parameters["triton_final_response"].bool_param = True
            made.infer_response.CopyFrom(found)
        except Exception as error:
            if isinstance(error, CancelledError) and not call.context.is_active():
                note_gone(call.noted)
                return made  # which nobody reads
            failure = failed(error)
            note_failure(call.noted, failure)
            made.error_message = failure.message
            made.infer_response.id = request.id
            made.infer_response.model_name = request.model_name
        return made

    def _inferred(self, request: InferRequest, call: Call) -> InferAnswer:
        service, context = self._protocol.service, call.context
        left_s = context.time_remaining()
        limit_s = min(service.settings.deadline_s, 1e9 if left_s is None else left_s)
        with _taken(self._inferences, f"{INFERENCES} calls wait for their depth"):
            found = self._protocol.check_ready(request.model, request.version)
            call.noted.model = found.name
            with (
                service.models.use(request.model) as model,
                service.statistics.request(model) as took,
            ):
                plan = planned(model, request, limit_s)
                with plan.submitted(model) as futures:
                    if not context.add_callback(lambda: _cancel(futures)):
                        _cancel(futures)  # the caller had gone before
                    answer = plan.answer([future.result() for future in futures])
                took(len(futures), answer.timing_ms)
                return answer


def _cancel(futures: list[Future[Any]]) -> None:
    for future in futures:
        future.cancel()


@contextmanager
def _taken(limit: BoundedSemaphore, said: str) -> Iterator[None]:
    if not limit.acquire(blocking=False):
        raise QueueFullError(f"{said}: try again soon")
    try:
        yield
    finally:
        limit.release()


def failed(error: Exception) -> Failure:
    """An error as the caller gets it; a fault of the service is logged."""
    failure = failure_of(error)
    if failure.status >= 500 and failure.retry_after_s is None and failure.status != 504:
        logger.error("%s: %s", type(error).__name__, error, exc_info=error)
    return failure
