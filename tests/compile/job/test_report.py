"""The report of a compile job: the lines at its top, and the job file beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional

import pytest
from safetensors.torch import save_file

from compile.job.ledger import Entry
from compile.job.report import Made, Section, write_report
from compile.job.spec import JobSpec, make_spec, read_spec
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import Artifact, CheckpointFacts, Gate
from depth.artifact.verification import BUILT, FAILED, VERIFIED
from tests.support.jobs import (
    WITH_STORE,
    command,
    done_before,
    job_folder,
    next_command,
    only_artifact,
    prepare,
    report,
    top,
)
from tests.support.networks import DEMO, build_demo

FORECAST = "`matmult-fp16`, forecast error of depth at 28x42: max_rel 1.00e-03"
PRECISION = Section("precision", Entry("", "matmult-fp16", "text", FORECAST, 1.0), before=False)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return build_demo(tmp_path_factory.mktemp("built"))


def lines(folder: Path, spec: JobSpec, made: Optional[Made], *sections: Section) -> str:
    return write_report(folder, spec, sections, made, None).read_text()


@pytest.mark.parametrize(
    ("state", "said", "measured", "following"),
    [
        (
            BUILT,
            "**built, not verified**: measure it on the device",
            "depth, speed and memory on the device; preflight, forecast and plan are estimates. "
            "The forecast is not for 56x70",
            "on an instance for inf1: `python -m compile pull IDENTITY --out artifacts --store "
            "'s3://a b'`, then `python -m compile parity FOLDER --on-device`",
        ),
        (
            VERIFIED,
            "**built and verified**",
            "speed and memory",
            "`python -m compile promote IDENTITY demo/inf1/production --store 's3://a b'`",
        ),
        (
            FAILED,
            "**built, FAILED on the device**: do not serve it",
            "speed and memory",
            "`python -m compile precision --model demo --target inf1`",
        ),
    ],
)
def test_the_top_states_what_a_reviewer_needs(
    artifact: Artifact, tmp_path: Path, state: str, said: str, measured: str, following: str
) -> None:
    spec = JobSpec("demo", "inf1", sizes=("28x42", "56x70"), store="s3://a b")
    text = lines(tmp_path, spec, Made(artifact, state), PRECISION)
    following = following.replace("IDENTITY", artifact.identity)
    following = following.replace("FOLDER", str(artifact.folder))
    assert text.split("\n")[2:8] == [
        f"- State: {said}",
        "- Model: `demo`, weights `untrained`, licence none",
        f"- Precision: {FORECAST}",
        f"- Not measured: {measured}",
        f"- Next: {following}",
        "",
    ]


def test_the_next_command_without_a_store_works_on_the_folder(
    artifact: Artifact, tmp_path: Path
) -> None:
    spec = JobSpec("demo", "inf1", checkpoint="my weights.pth")
    text = lines(tmp_path, spec, Made(artifact, BUILT), PRECISION)
    assert (
        "- Next: copy the folder, and on an instance for inf1: `python -m compile parity "
        f"{artifact.folder} --on-device --checkpoint 'my weights.pth'`\n"
    ) in text
    text = lines(tmp_path, JobSpec("demo"), Made(artifact, VERIFIED))
    assert f"- Next: `python -m serve folder {artifact.folder} --input input_images`\n" in text


def test_the_top_remarks_a_licence_that_nobody_stated(artifact: Artifact, tmp_path: Path) -> None:
    weights = CheckpointFacts("own.pth", "0" * 64, "unknown")
    manifest = replace(artifact.manifest, checkpoint=weights)
    text = lines(tmp_path, JobSpec("demo"), Made(replace(artifact, manifest=manifest), VERIFIED))
    assert (
        "- Model: `demo`, weights `own.pth`, licence unknown. **Find out the licence before you "
        "use the artifact or pass it on**\n"
    ) in text


def test_the_error_that_parity_measured_stands_in_for_a_forecast(
    artifact: Artifact, tmp_path: Path
) -> None:
    first, *_ = artifact.manifest.programs
    measured = {"depth": {**(first.measured or {})["depth"], "max_rel": 0.25, "mean_rel": 0.125}}
    programs = (replace(first, measured=measured), first)
    gate = Gate({"depth": {"max_rel": 0.5, "mean_rel": 0.25}}, passed=True)
    worse = replace(artifact, manifest=replace(artifact.manifest, programs=programs, gate=gate))
    text = lines(tmp_path, JobSpec("demo"), Made(worse, VERIFIED))
    assert (
        "- Precision: `fp32`, measured error of depth: max_rel 0.2500  mean_rel 0.1250 (limits: "
        "depth max_rel 0.5, depth mean_rel 0.25)\n"
    ) in text


def test_before_the_build_the_top_claims_nothing(tmp_path: Path) -> None:
    text = lines(tmp_path, JobSpec("demo", precision="auto"), None)
    assert "\n- Model: `demo`, licence not read yet\n" in text
    assert "\n- Precision: `auto`, not measured yet\n" in text
    assert "\n- Not measured: everything: no program was built\n" in text
    text = lines(tmp_path, JobSpec("demo", "inf1", precision="auto"), None)
    assert "\n- Precision: `auto`, not forecast yet\n" in text


def test_headings_in_a_section_go_below_the_sections_own(tmp_path: Path) -> None:
    entry = Entry("", "", "# First\ntext # of it\n## Second", "", 1.25)
    text = lines(tmp_path, JobSpec("vits"), None, Section("fetch", entry, before=True))
    assert text.endswith("\n## Weights\n\n### First\ntext # of it\n#### Second\n")
    assert "\n| fetch | 1.2 | done before |\n" in text


SPECS = [
    JobSpec("demo", precision="auto"),
    JobSpec(
        "demo",
        precision="fp32",
        sizes=("28x42", "56x70"),
        batches=(1, 2),
        accept_licence=True,
        split=True,
        images='quote " back\\slash \u00fc \x7f \x01',
        timeout_s=90.0,
    ),
]


@pytest.mark.parametrize("spec", SPECS)
def test_the_job_file_beside_the_report_gives_the_same_job(tmp_path: Path, spec: JobSpec) -> None:
    text = lines(tmp_path, spec, None)
    assert f"\nAsked for:\n\n```toml\n{spec.toml()}```\n" in text
    assert make_spec(read_spec(tmp_path / "job.toml"), "here") == spec


def test_a_whole_job_goes_on_from_its_job_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path, monkeypatch)
    save_file(untrained_checkpoint(DEMO, seed=2).state, "weights.safetensors")
    assert command(*WITH_STORE).code == 0
    identity = only_artifact().identity
    assert "licence unknown. **Find out the licence" in top()["Model"]
    assert next_command() == ["promote", identity, "demo/onnx/production", "--store", "store"]
    assert command(*next_command()).code == 0
    assert 'sizes = ["28x42"]\n' in report()
    assert command("job", job_folder() / "job.toml").code == 0
    assert done_before() == ["preflight", "precision", "build"]
