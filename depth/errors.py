"""Everything depth/ and the families raise on purpose.

DepthAnythingError
├── ArtifactError     a folder is not an artifact that this version can use
├── CheckpointError   a weights file is missing, damaged, or fits another model
├── DepthFileError    a depth file cannot be written, or is missing or damaged
├── DownloadError     a published checkpoint could not be fetched
│   └── LicenceError  its licence has to be accepted first (also a ValueError)
├── InputError        the caller's value is out of range (also a ValueError)
│   ├── FitError      a reference does not support a fit of scale and shift
│   └── ImageError    the caller's bytes are not an image we accept
└── StoreError        the store cannot be read, or an artifact in it is damaged
    └── DamagedError      an artifact or alias in it is damaged or refused
        └── TooLargeError  an object is larger than its kind ever is
"""

EXTRAS = {  # package -> the extra of this project that has it: see pyproject.toml
    "torch": "cpu",
    "huggingface_hub": "checkpoints",
    "safetensors": "checkpoints",
    "openvino": "serve-openvino",
    "onnxruntime": "serve-onnx",
    "onnx": "onnx",
    "boto3": "s3",
    "botocore": "s3",
    "fastapi": "http",
    "uvicorn": "http",
    "starlette": "http",
    "prometheus_client": "http",
    "python_multipart": "http",
    "grpc": "grpc",
    "ray": "ray",
    "av": "video",
}


def not_installed(error: ImportError) -> str:
    """Which package is not installed, and how to install it."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return f"a package that is not installed ({error}); run `make setup`"
    return f"{package}, which is not installed: {how_to_install(package)}"


def how_to_install(package: str) -> str:
    """The command that installs a package of an extra."""
    return f'pip install ".[{EXTRAS[package]}]", or, in a checkout, `make setup`'


def first_line(error: object) -> str:
    """The first line with text of a foreign error, or of its message."""
    return next((line for line in str(error).splitlines() if line.strip()), repr(error)).strip()


class DepthAnythingError(Exception):
    """The base of this package's errors; its text says what happened and what to do."""


class ArtifactError(DepthAnythingError):
    """The folder is not an artifact that this version can use."""


class CheckpointError(DepthAnythingError):
    """The weights are missing, damaged, unsafe to open, or fit another model."""


class DownloadError(DepthAnythingError):
    """A published checkpoint could not be fetched or did not have the expected bytes."""


class LicenceError(DownloadError, ValueError):
    """The licence of a published checkpoint has to be accepted before it is fetched."""


class InputError(DepthAnythingError, ValueError):
    """A value given by the caller is out of range."""


class FitError(InputError):
    """Measured depth does not support a fit: too few points, no spread, or no agreement."""


class ImageError(InputError):
    """The bytes are not an image that can be processed."""


class DepthFileError(DepthAnythingError):
    """A depth file cannot be written, or is missing, damaged or inconsistent."""


class StoreError(DepthAnythingError):
    """The store cannot be read, or an artifact in it is damaged."""


class DamagedError(StoreError):
    """An artifact or alias in a store is damaged or refused; a listing leaves it out."""


class TooLargeError(DamagedError):
    """An object in a store is larger than its kind ever is."""
