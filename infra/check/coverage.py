"""Which API calls of each Terraform resource a local AWS server has, as a table.

    .tools/infra/bin/python infra/check/coverage.py    # `make check-infra` makes .tools/infra

The calls of each resource are in calls.json. Every call is sent to moto with made-up arguments, and
moto says what it does not implement. The table stands in infra/terraform/README.md.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

TERRAFORM = Path(__file__).resolve().parents[1] / "terraform"
CALLS: dict[str, dict[str, list[str]]] = json.loads(
    Path(__file__).with_name("calls.json").read_text()
)
_KEYS = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
_OF_BUCKETS = ("list_objects", "_get_location_constraint", "delete_bucket")  # methods of moto
_DEPTH = 6  # of made-up arguments inside each other


def main() -> int:
    sys.stdout.write("\n".join(table()) + "\n")
    return 0


def resources() -> dict[str, list[str]]:
    """The modules that have each kind of resource or data source, by its name."""
    found: dict[str, list[str]] = {}
    for module in sorted((TERRAFORM / "modules").iterdir()):
        text = "\n".join(path.read_text() for path in sorted(module.glob("*.tf")))
        names = set(re.findall(r'^resource "(aws_\w+)"', text, re.M))
        names |= {f"data.{name}" for name in re.findall(r'^data "(aws_\w+)"', text, re.M)}
        for name in names:
            found.setdefault(name, []).append(module.name)
    return dict(sorted(found.items()))


def table() -> Iterator[str]:
    """Lines of Markdown: a row for each kind of resource."""
    yield "| resource | modules | calls that the server has | calls that it lacks |"
    yield "|---|---|---|---|"
    for name, modules in resources().items():
        has: list[str] = []
        lacks: list[str] = []
        for service, operations in CALLS[name].items():
            for operation in operations:
                (has if implemented(service, operation) else lacks).append(operation)
        cells = (f"`{name}`", ", ".join(modules), _listed(has), _listed(lacks))
        yield f"| {' | '.join(cells)} |"


def _listed(operations: list[str]) -> str:
    return ", ".join(operations) or "none"


@functools.cache
def implemented(service: str, operation: str) -> bool:
    """Whether moto answers a call, if only that its arguments are wrong.

    Raises KeyError for a call that AWS does not have.
    """
    from botocore import xform_name
    from botocore.exceptions import ClientError, ParamValidationError
    from moto import mock_aws

    client = _client(service)
    if operation not in client.meta.service_model.operation_names:
        raise KeyError(f"{service} has no {operation}")
    model = client.meta.service_model.operation_model(operation)
    arguments = _made_up(model.input_shape, 0) if model.input_shape is not None else {}
    with mock_aws(), _no_fall_through(model):
        try:
            getattr(client, xform_name(operation))(**arguments)
        except NotImplementedError:
            return False
        except ClientError as error:
            return "not yet implemented" not in str(error).lower()
        except ParamValidationError:  # the call was not sent
            raise
        except Exception:  # moto took the call, and stumbled over its arguments
            return True
    return True


@functools.cache
def _client(service: str) -> Any:
    from boto3.session import Session

    return Session(**_KEYS).client(service)


@contextmanager
def _no_fall_through(model: Any) -> Iterator[None]:
    """moto takes a call on a part of a bucket that it does not know for a call on the bucket."""
    from moto.s3.responses import S3Response

    def refuse(_self: object) -> None:
        raise NotImplementedError

    with ExitStack() as stack:
        if model.service_model.service_name == "s3" and "?" in model.http["requestUri"]:
            for name in _OF_BUCKETS:
                stack.enter_context(mock.patch.object(S3Response, name, refuse))
        yield


def _made_up(shape: Any, depth: int) -> Any:
    """The least value of a shape that a client would send."""
    kind = shape.type_name
    if kind == "structure":
        needed = shape.required_members if depth < _DEPTH else []
        return {name: _made_up(shape.members[name], depth + 1) for name in needed}
    if kind == "list":
        return [_made_up(shape.member, depth + 1)]
    if kind == "map":
        return {"x": _made_up(shape.value, depth + 1)}
    if kind == "string":
        return shape.enum[0] if getattr(shape, "enum", None) else "x" * _least(shape)
    plain = {"boolean": False, "blob": b"x", "timestamp": "2026-01-01T00:00:00Z", "float": 1.0}
    return plain.get(kind, max(1, _least(shape)))


def _least(shape: Any) -> int:
    return max(4, int(shape.metadata.get("min", 1)))


if __name__ == "__main__":
    sys.exit(main())
