"""Each core by itself: does it load the programs of an artifact, and repeat their numbers?"""

from __future__ import annotations

import sys
from pathlib import Path

from depth.artifact.manifest import Artifact, read_artifact
from depth.errors import first_line
from depth_anything.first_run.experiments.report import end
from serve.backend import core_count, open_on_core
from serve.bench.network import key_of, noise
from serve.errors import ProgramError


def main() -> None:
    artifact = read_artifact(Path(sys.argv[1]))
    count = core_count(artifact) or 0
    reference: list[bytes] = []
    why = {}
    for core in range(count):
        try:
            answer = _answer(artifact, core)
        except ProgramError as error:
            why[str(core)] = first_line(error)
            continue
        reference.append(answer)
        differs = answer != reference[0]
        why[str(core)] = "other bits than the first core that works" if differs else ""
    bad = [f"core {core}: {text}" for core, text in why.items() if text]
    end({"cores": count, "why": why}, "; ".join(bad) or ("" if count else "no core"))


def _answer(artifact: Artifact, core: int) -> bytes:
    """The bits of depth of one noise image. Loading compares the answers to the fixed probe."""
    size = artifact.manifest.programs[0].size
    runtime = open_on_core(artifact, artifact.manifest.stages(key_of(artifact, size)), core)
    found = runtime.run(noise(artifact, size))
    return b"".join(array.tobytes() for array in found.values())


if __name__ == "__main__":
    main()
