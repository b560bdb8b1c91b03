"""`python -m depth_anything_v2`: list and fetch the published checkpoints."""

from compile.weights_cli import app
from depth.command import guarded

if __name__ == "__main__":
    guarded(app, "python -m depth_anything_v2")
