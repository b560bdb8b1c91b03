"""What a compile job is asked for: a file, options, and what is wrong with either."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest

from compile.errors import JobError
from compile.job.spec import JobSpec, make_spec, read_spec
from depth.errors import InputError
from tests.support.jobs import command

FILE = """
model = "vits"
target = "inf1"
sizes = ["518x518", "518x686"]
batches = [1, 4]
precision = "matmult-fp16"
checkpoint = "mine.pth"
accept_licence = true
split = true
variants = ["resize=conv1x1"]
images = "photographs"
out = "made"
store = "s3://bucket/models"
endpoint_url = "http://localhost:9000"
instance = "inf1.2xlarge"
timeout_s = 600
"""
SPEC = JobSpec(
    model="vits",
    target="inf1",
    sizes=("518x518", "518x686"),
    batches=(1, 4),
    precision="matmult-fp16",
    checkpoint="mine.pth",
    accept_licence=True,
    split=True,
    variants=("resize=conv1x1",),
    images="photographs",
    out="made",
    store="s3://bucket/models",
    endpoint_url="http://localhost:9000",
    instance="inf1.2xlarge",
    timeout_s=600.0,
)


@pytest.fixture(name="asked")
def asked_fixture(monkeypatch: pytest.MonkeyPatch) -> list[JobSpec]:
    """The job that a command would run; it runs none."""
    asked: list[JobSpec] = []

    def run_job(spec: JobSpec, _say: Any) -> None:
        asked.append(spec)
        raise JobError("not today")

    monkeypatch.setattr("compile.job.run.run_job", run_job)
    return asked


@pytest.fixture(name="file")
def file_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "job.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_file_gives_every_field(asked: list[JobSpec], file: Path) -> None:
    command("job", file)
    assert asked == [SPEC]


def test_a_byte_order_mark_is_no_part_of_the_file(asked: list[JobSpec], file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    command("job", file)
    assert asked == [SPEC]


def test_every_field_has_an_option(asked: list[JobSpec]) -> None:
    words = "--model vits --target inf1 --size 518x518 --size 518x686 --batch 1 --batch 4"
    words += " --precision matmult-fp16 --checkpoint mine.pth --accept-licence --split"
    words += " --variant resize=conv1x1 --images photographs --out made --store s3://bucket/models"
    words += " --endpoint-url http://localhost:9000 --instance inf1.2xlarge --timeout-s 600"
    command("job", *words.split())
    assert asked == [SPEC]


def test_options_go_before_the_file(asked: list[JobSpec], file: Path) -> None:
    command("job", file, "--size", "28x42", "--target", "openvino", "--precision", "auto")
    expected = replace(SPEC, sizes=("28x42",), target="openvino", precision="auto")
    assert asked == [expected]


def test_a_model_is_enough(asked: list[JobSpec]) -> None:
    command("job", "--model", "vits")
    assert asked == [JobSpec("vits", precision="fp32")]
    assert asked[0].shapes == [((518, 518), 1)]


@pytest.mark.parametrize("given", [{}, {"precision": ""}])
@pytest.mark.parametrize(
    ("target", "precision"),
    {"openvino": "fp32", "torchscript": "fp32", "inf1": "auto", "inf2": "auto"}.items(),
)
def test_without_a_precision_a_cpu_takes_the_first_and_a_device_the_forecast(
    target: str, precision: str, given: dict[str, str]
) -> None:
    spec = make_spec({"model": "vits", "target": target, **given}, "here")
    assert spec.precision == precision
    assert not spec.chosen_by_measurement


@pytest.mark.parametrize(("target", "measures"), [("openvino", True), ("inf1", False)])
def test_auto_is_measured_on_a_cpu(target: str, measures: bool) -> None:
    spec = make_spec({"model": "vits", "target": target, "precision": "auto"}, "here")
    assert spec.chosen_by_measurement is measures


def test_a_job_has_every_size_with_every_batch_once() -> None:
    spec = JobSpec("vits", sizes=("28x42", "56x70", "28x42"), batches=(1, 2, 1))
    assert spec.shapes == [((28, 42), 1), ((28, 42), 2), ((56, 70), 1), ((56, 70), 2)]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("", "job.toml: no model; say which one, like model = 'vits'"),
        ("model = 'vitx'", "no model 'vitx'; choose from demo, vits"),
        ("model = 'vits'\nsize = '28x42'", "job.toml: unknown field size; did you mean sizes?"),
        ("model = 'vits'\naccept-licence = true", "accept-licence; did you mean accept_licence?"),
        ("model = 'vits'\nzzz = 1", "job.toml: unknown field zzz; the fields are model, target, "),
        ("model = 'vits'\nbatches = ['1']", "job.toml: field batches[0] is '1', expected int"),
        ("model = 'vits'\nsplit = 1", "job.toml: field split is 1, expected bool"),
        ("model = 1979-05-27\nout = 1", "job.toml: field out is 1, expected str"),
        ("model = 'vits'\ntimeout_s = nan", "job.toml: field timeout_s is nan, expected float"),
        ("model = 'vits'\ntimeout_s = 0", "job.toml: timeout_s 0: must be at least 1"),
        ("model = 'vits'\nsizes = []", "job.toml: no size or no batch, so there is nothing to bu"),
        ("model = 'vits'\nbatches = []", "job.toml: no size or no batch"),
        ("model = 'vits'\nbatches = [1, 0]", "job.toml: batch 0: must be at least 1"),
        ("model = 'vits'\nsizes = ['57x70']", "height 57 px: must be a multiple of 14"),
        ("model = 'vits'\nsizes = ['big']", "size 'big': expected HEIGHTxWIDTH in px"),
        ("model = 'vits'\ntarget = 'vax'", "no target 'vax'; choose from openvino, onnx"),
        ("model = 'vits'\ninstance = 'p5.48xlarge'", "no instance 'p5.48xlarge'; choose from inf1"),
        (
            "model = 'vits'\ntarget = 'inf1'\nprecision = 'int4'",
            "target 'inf1' has no precision 'int4'; choose from ",
        ),
        (
            "model = 'vits'\nprecision = 'auto'\nfloat_layers = ['decoder']",
            "job.toml: float_layers: only int8 has such layers; auto chooses its own\n",
        ),
        (
            "model = 'vits'\nfloat_layers = ['decoder']",
            "job.toml: float_layers: only int8 has such layers\n",
        ),
        ("model =", "job.toml: not a TOML file: "),
        ("model = 'a'\nmodel = 'b'", "job.toml: not a TOML file: "),
    ],
)
def test_what_is_wrong_in_a_file_is_a_usage_error(
    asked: list[JobSpec], tmp_path: Path, lines: str, text: str
) -> None:
    file = tmp_path / "job.toml"
    file.write_text(lines, encoding="utf-8")
    ended = command("job", file)
    assert ended.code == 2
    assert text in ended.error()
    assert asked == []


def test_a_job_without_a_model_is_a_usage_error(asked: list[JobSpec]) -> None:
    ended = command("job")
    assert ended.code == 2
    assert "job: no model; say which one" in ended.error()
    assert asked == []


def test_a_variant_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    words = ("--model", "demo", "--out", tmp_path / "out", "--target", "onnx")
    ended = command("job", *words, "--variant", "resize=fft")
    assert ended.code == 2
    assert "resize" in ended.error()
    assert not list(tmp_path.rglob("report.md"))


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    ended = command("job", tmp_path / "none.toml")
    assert ended.code == 2
    assert "none.toml: cannot be read: No such file or directory" in ended.error()
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(InputError, match=r"pipe\.toml: cannot be read: not a regular file"):
        read_spec(tmp_path / "pipe.toml")
    (tmp_path / "long.toml").write_text("#" * (1 << 20) + "\n")
    with pytest.raises(InputError, match=r"long\.toml: cannot be read: expected at most 1048576"):
        read_spec(tmp_path / "long.toml")
    (tmp_path / "latin.toml").write_bytes(b"model = '\xfc'")
    with pytest.raises(InputError, match=r"latin\.toml: not a TOML file: .*utf-8"):
        read_spec(tmp_path / "latin.toml")


@pytest.mark.parametrize(
    ("field", "value", "same"),
    [
        ("out", "elsewhere", True),
        ("store", "elsewhere", True),
        ("endpoint_url", None, True),
        ("accept_licence", False, True),
        ("model", "vitb", False),
        ("sizes", ("518x518",), False),
        ("batches", (1,), False),
        ("precision", "auto", False),
        ("checkpoint", None, False),
        ("split", False, False),
        ("variants", (), False),
        ("images", "others", False),
        ("instance", None, False),
    ],
)
def test_the_digest_covers_the_artifact_and_not_its_destination(
    field: str, value: Optional[Any], same: bool
) -> None:
    changes: dict[str, Any] = {field: value}
    assert (replace(SPEC, **changes).digest() == SPEC.digest()) is same


@pytest.mark.parametrize(
    ("target", "instance", "plan"),
    [
        ("inf1", None, "inf1.xlarge"),
        ("inf1", "inf1.6xlarge", "inf1.6xlarge"),
        ("openvino", None, None),
        ("openvino", "inf2.xlarge", "inf2.xlarge"),
    ],
)
def test_the_plan_is_for_the_targets_smallest_instance_unless_one_is_named(
    target: str, instance: Optional[str], plan: Optional[str]
) -> None:
    given = {"model": "vits", "target": target}
    spec = make_spec({**given, **({"instance": instance} if instance else {})}, "here")
    assert spec.plan_instance == plan


def test_scenes_in_a_job(asked: list[JobSpec], tmp_path: Path) -> None:
    file = tmp_path / "job.toml"
    file.write_text('model = "da3-small"\nsizes = ["112x168"]\nviews = [1, 3]\nrays = true\n')
    command("job", str(file))
    command(
        "job", "--model", "da3-small", "--size", "112x168", "--views", "1", "--views", "3", "--rays"
    )
    assert [(spec.views, spec.rays) for spec in asked] == [((1, 3), True)] * 2
    assert asked[0].digest() == asked[1].digest()
    assert make_spec(read_spec(file), "x").digest() != replace(asked[0], views=(1,)).digest()
    for wrong, text in (
        ({"views": [0]}, "a scene has 1 to 512"),
        ({"precision": "auto"}, "int8 and auto are calibrated"),
        ({"model": "vits", "sizes": ["518x518"]}, "takes one image at a time"),
    ):
        with pytest.raises(InputError, match=text):
            make_spec({**read_spec(file), **wrong}, "x")
