"""The protocol over a service: what HTTP and gRPC say of it, field by field the same."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from serve.service.failures import RequestError
from serve.service.model import Model
from serve.service.models import NotReadyError
from serve.service.service import Service
from serve.service.v2.infer import check_version
from serve.service.v2.repository import READY, UNAVAILABLE
from serve.service.v2.request import ENCODED, IMAGE, VERSION

EXTENSIONS = (
    "binary_tensor_data",
    "model_configuration",
    "model_repository",
    "parameters",
    "statistics",
)
_PACKAGE = "depth-anything-inferentia"
_INPUTS = ((IMAGE, "UINT8", [-1, -1, -1, 3]), (ENCODED, "BYTES", [-1]))
_NONE: Mapping[str, Any] = {}  # parameters
_MAP = [-1, -1, -1]  # images, height, width


class Protocol:
    """What the doors of the protocol share. Safe in any thread."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.statistics = service.statistics

    def server(self) -> dict[str, Any]:
        """Metadata of the server."""
        return {"name": "depth", "version": _version(), "extensions": list(EXTENSIONS)}

    def check_ready(self, name: str, model_version: str = "") -> Model:
        """The model, which answers. Raises UnknownModelError or NotReadyError."""
        model = self._known(name, model_version)
        if not model.ready:
            raise NotReadyError(f"model {name} is {model.state}: try again soon")
        return model

    def metadata(self, name: str, model_version: str = "") -> dict[str, Any]:
        """Metadata of a model. Raises UnknownModelError or NotReadyError."""
        model = self.check_ready(name, model_version)
        return {
            "name": name,
            "versions": [VERSION],
            "platform": model.manifest.target,
            "inputs": [
                {"name": tensor, "datatype": datatype, "shape": shape}
                for tensor, datatype, shape in _INPUTS
            ],
            "outputs": [
                {"name": output.name, "datatype": "FP32", "shape": _MAP}
                for output in model.manifest.outputs
            ],
        }

    def config(self, name: str, model_version: str = "") -> dict[str, Any]:
        """The configuration of a model. Raises as `metadata`."""
        model = self.check_ready(name, model_version)
        kinds = {"UINT8": "TYPE_UINT8", "BYTES": "TYPE_STRING"}
        return {
            "name": name,
            "platform": model.manifest.target,
            "backend": "depth",
            "max_batch_size": 0,
            "input": [
                {"name": tensor, "data_type": kinds[datatype], "dims": shape, "optional": True}
                for tensor, datatype, shape in _INPUTS
            ],
            "output": [
                {"name": output.name, "data_type": "TYPE_FP32", "dims": _MAP}
                for output in model.manifest.outputs
            ],
        }

    def stats(self, name: str = "", model_version: str = "") -> dict[str, Any]:
        """Statistics of a model, or of all. Raises UnknownModelError."""
        models = [self._known(name, model_version)] if name else self.service.models.all
        return {"model_stats": [self.statistics.of(model) for model in models]}

    def index(self, ready_only: bool = False) -> list[dict[str, str]]:
        """Every model that there is or could be: name, version, state, reason."""
        repository = self.service.repository
        rows = {
            model.name: (READY, "") if model.ready else (UNAVAILABLE, model.state)
            for model in self.service.models.all
        }
        rows.update((name, repository.state(name)) for name in repository.names)
        return [
            {"name": name, "version": VERSION, "state": state, "reason": reason}
            for name, (state, reason) in rows.items()
            if state == READY or not ready_only
        ]

    def load(self, name: str, parameters: object = _NONE) -> None:
        """Load a model that the operator named.

        Raises RequestError if the operator does not let callers do so or for any parameter,
        UnknownModelError, LoadError.
        """
        self._check_control(parameters)
        self.service.repository.load(name)

    def unload(self, name: str, parameters: object = _NONE) -> None:
        """Unload a model that the operator named. Raises as `load`."""
        self._check_control(parameters)
        self.service.repository.unload(name)

    def _check_control(self, parameters: object) -> None:
        if not self.service.settings.model_control:
            raise RequestError(
                403, "callers may not load and unload models: start with --model-control"
            )
        if not isinstance(parameters, Mapping) or not all(
            name == "unload_dependents" and value is False for name, value in parameters.items()
        ):
            raise RequestError(
                400, "parameters of a load are not supported: the operator names the artifact"
            )

    def _known(self, name: str, model_version: str) -> Model:
        model = self.service.models.find(name)
        check_version(name, model_version)
        return model


def _version() -> str:
    try:
        return version(_PACKAGE)
    except PackageNotFoundError:  # run from a folder that was never installed
        return "0"
