"""Rules about Python packages: versions that go wrong together, each with the fix.

Those of the Neuron SDK are in depth/chips.py. Sources of those of OpenCV, OpenVINO and boto3: what
was tried and what they print.
"""

from __future__ import annotations

from collections.abc import Iterator

from depth.chips import NEVER, SDKS, Requirement, install_command, mismatch
from serve.doctor.facts import Facts
from serve.doctor.findings import NOTE, OK, PROBLEM, WARNING, Finding

# What goes wrong on any machine.
_HERE = (
    Requirement(
        "opencv-python-headless",
        "opencv-python-headless",
        "4.11.0.86",
        "4.11.0.87",
        "releases of OpenCV resize differently by up to 2e-4, and depth with them",
        "pip install opencv-python-headless==4.11.0.86",
        breaks=False,
    ),
    Requirement(
        "opencv-python",
        "opencv-python-headless",
        "",
        NEVER,
        "two packages of OpenCV overwrite each other's files",
        "pip uninstall opencv-python, then install opencv-python-headless again",
        breaks=False,
    ),
)
RULES = (*(row for sdk in SDKS.values() for row in sdk.requirements), *_HERE)

# Named even if nothing is wrong with them.
_SHOWN = (
    "torch",
    "torch-neuron",
    "neuron-cc",
    "torch-neuronx",
    "neuronx-cc",
    "openvino",
    "onnxruntime",
    "numpy",
    "protobuf",
    "opencv-python-headless",
)


def package_findings(facts: Facts) -> Iterator[Finding]:
    """What is installed, and each rule that is broken."""
    versions = [f"{name} {facts.packages[name]}" for name in _SHOWN if name in facts.packages]
    broken = [rule for rule in RULES if _broken(rule, facts)]
    yield Finding(OK if not broken else NOTE, "packages", ", ".join(versions) or "none we know")
    for rule in broken:
        level = PROBLEM if rule.breaks else WARNING
        fix = rule.fix or install_command(_target(rule), _role(facts))
        yield Finding(level, "packages", f"{_said(rule, facts)}: {rule.why}", fix)
    yield from _built_for(facts)
    yield from _python(facts)
    yield from _boto3(facts)
    yield from _telemetry(facts)


def _broken(rule: Requirement, facts: Facts) -> bool:
    if facts.version(rule.beside) is None:
        return False
    found = facts.version(rule.package)
    return rule.to_run if found is None else rule.refuses(found)


def _target(rule: Requirement) -> str:
    return next(target for target, sdk in SDKS.items() if rule in sdk.requirements)


def _role(facts: Facts) -> str:
    """What an environment for Neuron is for: "compile" where there is a compiler, else "serve"."""
    compilers = ("neuron-cc", "neuronx-cc")
    return "compile" if any(map(facts.version, compilers)) else "serve"


def _said(rule: Requirement, facts: Facts) -> str:
    found = facts.version(rule.package)
    name = f"no {rule.package}" if found is None else f"{rule.package} {found}"
    if rule.beside == rule.package:
        return name
    return f"{name} beside {rule.beside} {facts.version(rule.beside)}"


def _built_for(facts: Facts) -> Iterator[Finding]:
    for target, sdk in SDKS.items():
        library, package = facts.version(sdk.built_for or ""), facts.version(sdk.package)
        release = mismatch(sdk, library, package)
        if release:
            yield Finding(
                PROBLEM,
                "packages",
                f"{sdk.built_for} {library} beside {sdk.package} {package}, which is made for "
                f"{sdk.built_for} {release}",
                install_command(target, _role(facts)),
            )


_SERVING = ((3, 11), (3, 12))  # Pythons that served 1,000 images, with the depth files of 3.9


def _python(facts: Facts) -> Iterator[Finding]:
    text = "Python " + ".".join(map(str, facts.python))
    installed = [sdk for sdk in SDKS.values() if facts.version(sdk.package)]
    wrong = [sdk for sdk in installed if facts.python[:2] not in sdk.pythons]
    if facts.python[:2] == (3, 9):
        yield Finding(OK, "python", text)
    elif wrong:
        pythons = " and ".join(f"{major}.{minor}" for major, minor in wrong[0].pythons)
        yield Finding(
            PROBLEM,
            "python",
            f"{text}: {wrong[0].package} is made for {pythons}",
            "make the environment with python3.9",
        )
    elif facts.python[:2] in _SERVING and not facts.version("torch"):
        yield Finding(NOTE, "python", f"{text}: for serving; compiling needs 3.9", "")
    else:
        yield Finding(
            WARNING,
            "python",
            f"{text}: only 3.9 is tested here",
            "make the environment again with `make setup`, which takes 3.9",
        )


def _boto3(facts: Facts) -> Iterator[Finding]:
    found = facts.version("boto3")
    if found and facts.python[:2] < (3, 10):
        yield Finding(
            WARNING,
            "boto3",
            f"boto3 {found} on Python 3.9: AWS makes no more releases of it for 3.9 after April "
            "2026, security fixes neither",
            "keep boto3 below 1.43, the first that refuses Python 3.9; s3:// works until AWS "
            "changes the service",
        )


def _telemetry(facts: Facts) -> Iterator[Finding]:
    if facts.version("openvino-telemetry"):
        yield Finding(
            NOTE,
            "openvino",
            "openvino-telemetry is installed: this project never loads it, other programs that "
            "import openvino report their use to its makers",
            "to stop those too: opt_in_out --opt_out",
        )
