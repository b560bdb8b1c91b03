"""What a compile job is to do, from a TOML file or the command line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Optional

import tomli

from compile.targets.table import AUTO, chosen_by_measurement, default_precision, target_named
from compile.views import check_scenes
from depth.artifact.strict_json import decode
from depth.chips import instance_named
from depth.errors import InputError
from depth.family import model_named
from depth.files import read_text, sha256_bytes
from depth.sizes import parse_size, size_text

_INSTANCES = {"inf1": "inf1.xlarge", "inf2": "inf2.xlarge"}  # by target: the smallest
_ELSEWHERE = {"accept_licence", "endpoint_url", "out", "store"}
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class JobSpec:
    """Every field of a job file. Sizes are HEIGHTxWIDTH in px."""

    model: str
    target: str = "openvino"
    sizes: tuple[str, ...] = ("518x518",)  # in a job file or command, by default the model's own
    batches: tuple[int, ...] = (1,)
    precision: str = ""  # empty: the target's first on a CPU, AUTO on inf1 and inf2
    checkpoint: Optional[str] = None  # weights file; by default the model's own, or downloaded
    accept_licence: bool = False  # of a published checkpoint that asks for it
    views: tuple[int, ...] = ()  # of a scene, for models of scenes
    rays: bool = False  # models of scenes: also what cameras from rays are made with
    split: bool = False  # encoder and decoder as programs of their own
    variants: tuple[str, ...] = ()  # of lowering passes, beside or in place of the target's
    images: str = "input_images"  # photographs for forecast and parity, and to calibrate int8 on
    float_layers: tuple[str, ...] = ()  # of int8, in place of those that stay float by default
    out: str = "artifacts"
    store: Optional[str] = None  # s3://bucket/prefix or a folder to push to
    endpoint_url: Optional[str] = None  # S3 server other than AWS
    instance: Optional[str] = None  # for the plan; by default the target's smallest
    timeout_s: Optional[float] = None  # of one compiler run

    @property
    def shapes(self) -> list[tuple[tuple[int, int], int]]:
        """(height, width) in px and batch of every program."""
        check = model_named(self.model).size.check
        sizes = dict.fromkeys(parse_size(text, check) for text in self.sizes)
        return [(size, batch) for size in sizes for batch in dict.fromkeys(self.batches)]

    @property
    def plan_instance(self) -> Optional[str]:
        return self.instance or _INSTANCES.get(self.target)

    @property
    def chosen_by_measurement(self) -> bool:
        """Whether the build measures the precisions of this CPU and takes the fastest."""
        return chosen_by_measurement(self.target, self.precision)

    def digest(self) -> str:
        """The same for the same artifact: where it goes afterwards does not count."""
        facts = {name: value for name, value in asdict(self).items() if name not in _ELSEWHERE}
        return sha256_bytes(json.dumps(facts, sort_keys=True).encode())

    def toml(self) -> str:
        """The text of a job file that gives this job again."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        # A string of JSON is one of TOML, but for DEL, which JSON does not escape.
        lines = [
            f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in given.items()
        ]
        return "\n".join(lines).replace("\x7f", "\\u007f") + "\n"


def read_spec(path: Path) -> dict[str, Any]:
    """The fields of a job file, not checked yet. Raises InputError that says what is wrong."""
    try:
        return tomli.loads(read_text(path, _MAX_BYTES))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # TOML or UTF-8
        raise InputError(f"{path}: not a TOML file: {error}") from error


def make_spec(found: Mapping[str, Any], where: str) -> JobSpec:
    """A checked job from its fields. Raises InputError or TargetError, naming the field."""
    if "model" not in found:
        raise InputError(f"{where}: no model; say which one, like model = 'vits'")
    _check_names(found, where)
    given = json.loads(json.dumps(dict(found), default=str))
    defaults = asdict(JobSpec(model=""))
    try:
        spec = decode(JobSpec, {**json.loads(json.dumps(defaults)), **given})
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
    row = model_named(spec.model)
    if "sizes" not in found:
        spec = replace(spec, sizes=(size_text(row.native_size),))
    if not spec.precision:
        spec = replace(spec, precision=_default_precision(spec.target))
    _check(spec, where)
    return spec


def _default_precision(target: str) -> str:
    """`auto` on a device, where a forecast decides; on a CPU the target's first."""
    return AUTO if target_named(target).device else default_precision(target)


def _check_names(found: Mapping[str, Any], where: str) -> None:
    names = [field.name for field in fields(JobSpec)]
    for name in found:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            help_ = f"did you mean {near[0]}?" if near else f"the fields are {', '.join(names)}"
            raise InputError(f"{where}: unknown field {name}; {help_}")


def _check(spec: JobSpec, where: str) -> None:
    if not spec.sizes or not spec.batches:
        raise InputError(f"{where}: no size or no batch, so there is nothing to build")
    for _, batch in spec.shapes:
        if batch < 1:
            raise InputError(f"{where}: batch {batch}: must be at least 1")
    if spec.timeout_s is not None and spec.timeout_s < 1:
        raise InputError(f"{where}: timeout_s {spec.timeout_s:g}: must be at least 1")
    if spec.plan_instance is not None:
        instance_named(spec.plan_instance)
    target = target_named(spec.target, None if spec.precision == AUTO else spec.precision)
    calibrated = spec.precision in target.calibrated
    model = model_named(spec.model)
    check_scenes(model, spec.views, spec.rays, calibrated, spec.chosen_by_measurement)
    if spec.float_layers and not calibrated:
        hint = "; auto chooses its own" if spec.chosen_by_measurement else ""
        raise InputError(f"{where}: float_layers: only int8 has such layers{hint}")
