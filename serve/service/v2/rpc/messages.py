"""The messages of the protocol over gRPC, as classes that are made of a table.

Source: service GRPCInferenceService of the Open Inference Protocol V2 and of Triton's extensions:
names, numbers and types of fields. The classes are in a pool of their own, so that a process may
also have classes of the same names that a client was generated with.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

# Per message its fields: number, name, type. `*` is repeated, `{T}` a map from texts to T, and
# `|` a field of the message's only oneof.
MESSAGES = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "1 live bool",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "1 ready bool",
    "ModelReadyRequest": "1 name string, 2 version string",
    "ModelReadyResponse": "1 ready bool",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "1 name string, 2 version string, 3 extensions string*",
    "ModelMetadataRequest": "1 name string, 2 version string",
    "ModelMetadataResponse": (
        "1 name string, 2 versions string*, 3 platform string, 4 inputs .TensorMetadata*, "
        "5 outputs .TensorMetadata*"
    ),
    "ModelMetadataResponse.TensorMetadata": "1 name string, 2 datatype string, 3 shape int64*",
    "InferParameter": (
        "1 bool_param bool|, 2 int64_param int64|, 3 string_param string|, "
        "4 double_param double|, 5 uint64_param uint64|"
    ),
    "InferTensorContents": (
        "1 bool_contents bool*, 2 int_contents int32*, 3 int64_contents int64*, "
        "4 uint_contents uint32*, 5 uint64_contents uint64*, 6 fp32_contents float*, "
        "7 fp64_contents double*, 8 bytes_contents bytes*"
    ),
    "ModelInferRequest": (
        "1 model_name string, 2 model_version string, 3 id string, 4 parameters {InferParameter}, "
        "5 inputs .InferInputTensor*, 6 outputs .InferRequestedOutputTensor*, "
        "7 raw_input_contents bytes*"
    ),
    "ModelInferRequest.InferInputTensor": (
        "1 name string, 2 datatype string, 3 shape int64*, 4 parameters {InferParameter}, "
        "5 contents InferTensorContents"
    ),
    "ModelInferRequest.InferRequestedOutputTensor": (
        "1 name string, 2 parameters {InferParameter}"
    ),
    "ModelInferResponse": (
        "1 model_name string, 2 model_version string, 3 id string, 4 parameters {InferParameter}, "
        "5 outputs .InferOutputTensor*, 6 raw_output_contents bytes*"
    ),
    "ModelInferResponse.InferOutputTensor": (
        "1 name string, 2 datatype string, 3 shape int64*, 4 parameters {InferParameter}, "
        "5 contents InferTensorContents"
    ),
    "ModelStreamInferResponse": "1 error_message string, 2 infer_response ModelInferResponse",
    "ModelConfigRequest": "1 name string, 2 version string",
    "ModelConfigResponse": "1 config ModelConfig",
    "ModelConfig": (
        "1 name string, 2 platform string, 4 max_batch_size int32, 5 input ModelInput*, "
        "6 output ModelOutput*, 17 backend string"
    ),
    "ModelInput": "1 name string, 2 data_type DataType, 4 dims int64*, 8 optional bool",
    "ModelOutput": "1 name string, 2 data_type DataType, 3 dims int64*",
    "ModelStatisticsRequest": "1 name string, 2 version string",
    "ModelStatisticsResponse": "1 model_stats ModelStatistics*",
    "StatisticDuration": "1 count uint64, 2 ns uint64",
    "InferStatistics": (
        "1 success StatisticDuration, 2 fail StatisticDuration, 3 queue StatisticDuration, "
        "4 compute_input StatisticDuration, 5 compute_infer StatisticDuration, "
        "6 compute_output StatisticDuration"
    ),
    "InferBatchStatistics": (
        "1 batch_size uint64, 2 compute_input StatisticDuration, "
        "3 compute_infer StatisticDuration, 4 compute_output StatisticDuration"
    ),
    "ModelStatistics": (
        "1 name string, 2 version string, 3 last_inference uint64, 4 inference_count uint64, "
        "5 execution_count uint64, 6 inference_stats InferStatistics, "
        "7 batch_stats InferBatchStatistics*"
    ),
    "ModelRepositoryParameter": (
        "1 bool_param bool|, 2 int64_param int64|, 3 string_param string|, 4 bytes_param bytes|"
    ),
    "RepositoryIndexRequest": "1 repository_name string, 2 ready bool",
    "RepositoryIndexResponse": "1 models .ModelIndex*",
    "RepositoryIndexResponse.ModelIndex": (
        "1 name string, 2 version string, 3 state string, 4 reason string"
    ),
    "RepositoryModelLoadRequest": (
        "1 repository_name string, 2 model_name string, 3 parameters {ModelRepositoryParameter}"
    ),
    "RepositoryModelLoadResponse": "",
    "RepositoryModelUnloadRequest": (
        "1 repository_name string, 2 model_name string, 3 parameters {ModelRepositoryParameter}"
    ),
    "RepositoryModelUnloadResponse": "",
}
_NUMBERS = ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64")
DATA_TYPES = ("INVALID", "BOOL", *_NUMBERS, "FP16", "FP32", "FP64", "STRING", "BF16")
_ONEOF = "parameter_choice"
_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    name: getattr(_Field, f"TYPE_{name.upper()}")
    for name in ("bool", "bytes", "double", "float", "int32", "int64", "string", "uint32", "uint64")
}


@cache
def message(name: str) -> Any:
    """The class of a message of MESSAGES."""
    descriptor = _pool().FindMessageTypeByName(f"{PACKAGE}.{name}")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return _factory().GetPrototype(descriptor)  # protobuf before 4.22


@cache
def _pool() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="depth/inference.proto", package=PACKAGE, syntax="proto3"
    )
    made: dict[str, Any] = {}
    for name, fields in MESSAGES.items():
        outer, _, inner = name.rpartition(".")
        made[name] = (made[outer].nested_type if outer else file.message_type).add(name=inner)
        for text in filter(None, fields.split(", ")):
            _add_field(made[name], name, text)
    kinds = file.enum_type.add(name="DataType")
    for number, name in enumerate(DATA_TYPES):
        kinds.value.add(name=f"TYPE_{name}", number=number)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


@cache
def _factory() -> Any:
    return message_factory.MessageFactory(_pool())


def _add_field(owner: Any, owner_name: str, text: str) -> None:
    number, name, kind = text.split(" ")
    field = owner.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if kind.startswith("{"):
        entry = owner.nested_type.add(name=f"{name.title()}Entry")
        entry.options.map_entry = True
        _add_field(entry, owner_name, "1 key string")
        _add_field(entry, owner_name, f"2 value {kind.strip('{}')}")
        kind = f".{entry.name}*"
    if kind.endswith("*"):
        field.label = _Field.LABEL_REPEATED
    if kind.endswith("|"):
        if not owner.oneof_decl:
            owner.oneof_decl.add(name=_ONEOF)
        field.oneof_index = 0
    kind = kind.rstrip("*|")
    if kind in _TYPES:
        field.type = _TYPES[kind]
        return
    field.type = _Field.TYPE_ENUM if kind == "DataType" else _Field.TYPE_MESSAGE
    inner = f"{owner_name}{kind}" if kind.startswith(".") else kind
    field.type_name = f".{PACKAGE}.{inner}"
