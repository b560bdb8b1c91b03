"""Where things lie in the project."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
STANDINS = ROOT / "tests/standins"
PHOTOS = ROOT.parent / "shared/data/photos"  # real photographs; not everybody has them
