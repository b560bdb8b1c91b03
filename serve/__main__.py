"""`python -m serve`. The sidecar, a process for each image, is loaded alone."""

import sys

from depth.command import guarded
from serve.errors import ServeError
from serve.start import without_commands


def main(name: str = "python -m serve") -> None:
    """Run the command line. `name` stands in its help and messages."""
    if sys.argv[1:2] == ["sidecar"]:
        from serve.sidecar.cli import sidecar

        app = without_commands()
        app.command()(sidecar)
    else:
        from serve.cli import app
    guarded(app, name, ServeError)


if __name__ == "__main__":
    main()
