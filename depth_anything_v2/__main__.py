"""`python -m depth_anything_v2`: list and fetch the published checkpoints."""

from depth_anything_v2.checkpoints_cli import app

if __name__ == "__main__":
    app(prog_name="python -m depth_anything_v2")
