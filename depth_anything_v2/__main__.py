"""`python -m depth_anything_v2`: list and fetch the published checkpoints."""

from depth_anything_v2.checkpoints_cli import app
from depth_anything_v2.command import guarded

if __name__ == "__main__":
    guarded(app, "python -m depth_anything_v2")
