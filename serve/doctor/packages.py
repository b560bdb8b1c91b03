"""Rules about Python packages: versions that go wrong together, each with the fix.

Sources: AWS Neuron SDK documentation (release notes of torch-neuron, compatibility of numpy and
protobuf, installation) and its package manifest; reports of users in AWS's public repositories;
for OpenCV, OpenVINO and boto3, what was tried and what they print.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from serve.doctor.facts import Facts
from serve.doctor.findings import NOTE, OK, PROBLEM, WARNING, Finding, outside, parsed

_INDEX = "--extra-index-url https://pip.repos.neuron.amazonaws.com"


@dataclass(frozen=True)
class Rule:
    """If `where` is installed, `package` is at least `low` and below `high`, or absent."""

    where: str
    package: str
    low: str  # "" for any
    high: str  # "" for any
    level: str
    why: str
    fix: str
    needed: bool = False  # its absence is wrong too


RULES = (
    Rule(
        "torch-neuron",
        "torch",
        "1.13.1",
        "1.13.2",
        PROBLEM,
        "torch-neuron refuses any other when it is imported",
        "pip install torch==1.13.1",
        needed=True,
    ),
    Rule(
        "torch-neuron",
        "torchvision",
        "0.14",
        "0.15",
        WARNING,
        "only 0.14 goes with torch 1.13",
        "pip install --no-deps torchvision==0.14.1",
    ),
    Rule(
        "torch-neuron",
        "numpy",
        "1.21.6",
        "1.24",
        PROBLEM,
        'torch-neuron fails with "module compiled against API version"',
        "pip install numpy==1.22.2, in the environment that compiles as well",
        needed=True,
    ),
    Rule(
        "torch-neuron",
        "protobuf",
        "3.19.5",
        "3.21",
        PROBLEM,
        "later ones refuse torch-neuron's generated code",
        "pip install protobuf==3.19.5",
    ),
    *(
        Rule(
            "torch-neuron",
            name,
            "1.15",
            "1.16",
            PROBLEM,
            "TensorFlow 2 breaks torch-neuron",
            f"pip uninstall {name}; to compile: pip install {_INDEX} 'neuron-cc[tensorflow]'",
        )
        for name in ("tensorflow", "tensorflow-cpu")
    ),
    Rule(
        "torch-neuron",
        "torch-neuronx",
        "999",
        "",
        PROBLEM,
        "the stacks of Inf1 and Inf2 need different releases of protobuf",
        "make one environment for each",
    ),
    Rule(
        "neuron-cc",
        "setuptools",
        "",
        "70",
        WARNING,
        "the compiler's own packages were last seen working with 69.5",
        "pip install 'setuptools<70'",
    ),
    Rule(
        "torch-neuronx",
        "protobuf",
        "3.20",
        "",
        PROBLEM,
        "torch-neuronx needs 3.20 or later",
        "pip install 'protobuf>=3.20'",
    ),
    Rule(
        "opencv-python-headless",
        "opencv-python-headless",
        "4.11.0.86",
        "4.11.0.87",
        WARNING,
        "releases of OpenCV resize differently by up to 2e-4, and depth with them",
        "pip install opencv-python-headless==4.11.0.86",
    ),
    Rule(
        "opencv-python-headless",
        "opencv-python",
        "999",
        "",
        WARNING,
        "two packages of OpenCV overwrite each other's files",
        "pip uninstall opencv-python, then install opencv-python-headless again",
    ),
)

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
        yield Finding(rule.level, "packages", f"{_said(rule, facts)}: {rule.why}", rule.fix)
    yield from _neuronx(facts)
    yield from _python(facts)
    yield from _boto3(facts)
    yield from _telemetry(facts)


def _broken(rule: Rule, facts: Facts) -> bool:
    if facts.version(rule.where) is None:
        return False
    found = facts.version(rule.package)
    return rule.needed if found is None else outside(found, rule.low, rule.high)


def _said(rule: Rule, facts: Facts) -> str:
    found = facts.version(rule.package)
    name = f"no {rule.package}" if found is None else f"{rule.package} {found}"
    if rule.where == rule.package:
        return name
    return f"{name} beside {rule.where} {facts.version(rule.where)}"


def _neuronx(facts: Facts) -> Iterator[Finding]:
    torch, sdk = facts.version("torch"), facts.version("torch-neuronx")
    if torch and sdk and parsed(torch)[:2] != parsed(sdk)[:2]:
        release = ".".join(map(str, parsed(sdk)[:2]))
        yield Finding(
            PROBLEM,
            "packages",
            f"torch {torch} beside torch-neuronx {sdk}, which is made for torch {release}",
            f"pip install 'torch=={release}.*'",
        )


def _python(facts: Facts) -> Iterator[Finding]:
    text = "Python " + ".".join(map(str, facts.python))
    if facts.python[:2] == (3, 9):
        yield Finding(OK, "python", text)
    elif facts.version("torch-neuron") and facts.python[:2] not in ((3, 9), (3, 10)):
        yield Finding(
            PROBLEM,
            "python",
            f"{text}: torch-neuron is made for 3.9 and 3.10",
            "make the environment with python3.9",
        )
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
