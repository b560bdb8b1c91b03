"""The operators that the SDK says it supports, against the list that preflight judges by."""

from __future__ import annotations

from compile.preflight.inf1 import inf1_operators
from depth_anything.first_run.experiments.report import end
from depth_anything.first_run.experiments.sdk import toolchain


def main() -> None:
    theirs = sorted(set(toolchain().sdk().get_supported_operations()))
    known = inf1_operators()
    ours = known.supported | known.conditional
    end(
        {
            "supported": theirs,
            # The SDK leaves out operators whose support depends on their arguments.
            "only_ours": sorted(
                name for name in known.supported - set(theirs) if name.startswith("aten::")
            ),
            "only_theirs": sorted(set(theirs) - ours),
        }
    )


if __name__ == "__main__":
    main()
