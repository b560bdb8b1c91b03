"""The protocol over gRPC: the same answers as over HTTP, from the same service."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from threading import Event
from typing import Any, Callable

import grpc

from depth.errors import InputError
from serve.service.asgi.noted import Noted
from serve.service.failures import RequestError
from serve.service.tls import tls_pair
from serve.service.v2.protocol import Protocol
from serve.service.v2.rpc.arrivals import Arrivals
from serve.service.v2.rpc.calls import Call, Calls, Context, failed
from serve.service.v2.rpc.messages import SERVICE, message
from serve.service.v2.rpc.record import OTHER, CallRecord, note_failure, note_gone

_THREADS = 32
_WAITING = 256  # calls that have no thread yet, and those that have
_ENDED = (grpc.RpcError, CancelledError)  # what reading and waiting raise once a call has ended
_OPEN = (f"/{SERVICE}/ServerLive", f"/{SERVICE}/ServerReady")  # to callers without the token


class GrpcServer:
    """Answers gRPC. `port` is the port that it has; TLS and token are those of the settings.

    Raises InputError if the address cannot be had or the files of TLS cannot be used.
    """

    def __init__(self, protocol: Protocol) -> None:
        settings = protocol.service.settings
        size = settings.grpc_message_bytes
        record = CallRecord(protocol.service.metrics)
        self._pool = ThreadPoolExecutor(_THREADS, "grpc")
        self._calls = Calls(protocol, record)
        self._arrivals = Arrivals(settings.body_timeout_s)
        self._server = grpc.server(
            self._pool,
            handlers=[_handlers(self._calls, self._arrivals, record), _Others(record)],
            interceptors=[_Token(settings.token, record)] if settings.token is not None else [],
            options=[
                ("grpc.max_receive_message_length", size),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=_WAITING,
        )
        address = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.port = self._bound(f"{address}:{settings.grpc_port}", _credentials(protocol))

    def start(self) -> None:
        """Answer calls from now on."""
        self._arrivals.start()
        self._server.start()

    def stop(self, grace_s: float) -> Event:
        """Take no more calls; the event is set once those under way are done, or after `grace_s`.

        Streams that are idle end at once.
        """
        stopped: Event = self._server.stop(grace_s)
        self._calls.end_streams()
        return stopped

    def close(self) -> None:
        """After the event of `stop`: end what is left."""
        self._arrivals.stop()

    def _bound(self, address: str, credentials: Any) -> int:
        try:
            if credentials is None:
                return int(self._server.add_insecure_port(address))
            return int(self._server.add_secure_port(address, credentials))
        except RuntimeError as error:
            raise InputError(
                f"{address} cannot be listened on for gRPC; name another port with --grpc-port"
            ) from error


def _credentials(protocol: Protocol) -> Any:
    pair = tls_pair(protocol.service.settings)
    return None if pair is None else grpc.ssl_server_credentials([pair[::-1]])


class _Token(grpc.ServerInterceptor):  # type: ignore[misc]
    """Refuses calls whose metadata do not have the token."""

    def __init__(self, token: str, record: CallRecord) -> None:
        self._digest = _digest(token)
        said = "send the service's token: authorization: Bearer TOKEN"
        self._refusal = _refusing(grpc.StatusCode.UNAUTHENTICATED, said, record)

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        metadata = dict(details.invocation_metadata)
        scheme, _, given = str(metadata.get("authorization", "")).partition(" ")
        right = hmac.compare_digest(_digest(given.strip()), self._digest)
        if details.method in _OPEN or (scheme.lower() == "bearer" and right):
            return continuation(details)
        return self._refusal


class _Others(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Refuses every method that the service does not have."""

    def __init__(self, record: CallRecord) -> None:
        said = f"there is no such method; {SERVICE} has those of the protocol"
        self._refusal = _refusing(grpc.StatusCode.UNIMPLEMENTED, said, record)

    def service(self, _details: Any) -> Any:
        return self._refusal


def _refusing(status: Any, said: str, record: CallRecord) -> Any:
    """A method that refuses every call, and waits for no message."""

    def refuse(_requests: Any, context: Context) -> None:
        with record.call(OTHER) as noted:
            noted.status, noted.kind = status.name, RequestError.__name__
            context.abort(status, said)

    return grpc.stream_stream_rpc_method_handler(refuse)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _handlers(calls: Calls, arrivals: Arrivals, record: CallRecord) -> Any:
    handlers = {}
    for method, call in (
        ("ServerLive", calls.server_live),
        ("ServerReady", calls.server_ready),
        ("ModelReady", calls.model_ready),
        ("ServerMetadata", calls.server_metadata),
        ("ModelMetadata", calls.model_metadata),
        ("ModelConfig", calls.model_config),
        ("ModelStatistics", calls.model_statistics),
        ("ModelInfer", calls.model_infer),
        ("RepositoryIndex", calls.repository_index),
        ("RepositoryModelLoad", calls.repository_model_load),
        ("RepositoryModelUnload", calls.repository_model_unload),
    ):
        # A call of one message is a stream of one on the wire, whose wait can be limited.
        handlers[method] = grpc.stream_unary_rpc_method_handler(
            _answering(method, call, arrivals, record),
            message(f"{method}Request").FromString,
            _serialised,
        )
    handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
        _streaming("ModelStreamInfer", calls.model_stream_infer, record),
        message("ModelInferRequest").FromString,
        _serialised,
    )
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def _serialised(made: Any) -> bytes:
    data: bytes = made.SerializeToString()
    return data


def _answering(
    method: str, answer_of: Callable[[Any, Call], Any], arrivals: Arrivals, record: CallRecord
) -> Callable[[Any, Context], Any]:
    def answer(requests: Any, context: Context) -> Any:
        with record.call(method) as noted:
            try:
                request = arrivals.message(requests, context)
                made = answer_of(request, Call(context, noted))
            except Exception as error:
                _abort(error, context, noted)
            if not context.is_active():
                note_gone(noted)
            return made

    return answer


def _streaming(
    method: str, answers_of: Callable[[Any, Context], Iterator[Any]], record: CallRecord
) -> Callable[[Any, Context], Any]:
    def answers(requests: Any, context: Context) -> Iterator[Any]:
        try:
            yield from answers_of(requests, context)
        except Exception as error:
            if context.is_active():
                with record.call(method) as noted:
                    _abort(error, context, noted)

    return answers


def _abort(error: Exception, context: Context, noted: Noted) -> None:
    if isinstance(error, _ENDED) and not context.is_active():
        note_gone(noted)
        context.abort(grpc.StatusCode.CANCELLED, "the call has ended")
    failure = failed(error)
    note_failure(noted, failure)
    if failure.retry_after_s is not None:
        context.set_trailing_metadata((("retry-after", str(failure.retry_after_s)),))
    context.abort(getattr(grpc.StatusCode, failure.grpc), failure.message)
