"""The state Remember: what is in production becomes `before`, unless its alias is damaged."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest

from tests.support.places import ROOT

STEPS = json.loads((ROOT / "infra/pipeline/steps.json").read_text())
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs the environment of `make setup`"
)
ALIAS = "vits/cpu"


def remember(store: Path) -> subprocess.CompletedProcess[str]:
    """Run the commands of the step, as the state machine does."""
    python = str(Path(sys.executable).parent)
    settings = {"STORE": str(store), "ALIAS": ALIAS, "PYTHONPATH": str(ROOT)}
    script = "\n".join(STEPS["steps"]["remember"]["commands"])
    return subprocess.run(
        ["/bin/sh", "-euc", script],
        env={**os.environ, **settings, "PATH": f"{python}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def before(store: Path) -> Optional[str]:
    """The identity that the alias `before` names."""
    path = store / f"aliases/{ALIAS}/before.json"
    return str(json.loads(path.read_text())["identity"]) if path.exists() else None


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with an artifact, and no alias."""
    from depth.store.objects import open_store
    from depth.store.push import push
    from tests.support.stored_artifacts import make

    (tmp_path / "store").mkdir()
    with open_store(str(tmp_path / "store")) as opened:
        push(opened, make(tmp_path / "made"))
    return tmp_path / "store"


def promote(store: Path, name: str) -> str:
    """Point an alias at the store's artifact; its identity."""
    from depth.store.catalogue import find
    from depth.store.objects import open_store
    from depth.store.promote import promote

    (folder,) = (store / "artifacts").iterdir()
    with open_store(str(store)) as opened:
        promote(opened, find(opened, folder.name), f"{ALIAS}/{name}")
    return folder.name


def test_what_is_in_production_is_remembered(store: Path) -> None:
    identity = promote(store, "production")
    done = remember(store)
    assert (done.returncode, done.stderr) == (0, "")
    assert before(store) == identity


def test_with_nothing_in_production_there_is_nothing_to_remember(store: Path) -> None:
    promote(store, "run-1")
    done = remember(store)
    assert (done.returncode, done.stdout, before(store)) == (0, "", None)


def test_damage_elsewhere_is_said_and_does_not_stop_it(store: Path) -> None:
    identity = promote(store, "production")
    promote(store, "run-1")
    (store / f"aliases/{ALIAS}/run-1.json").write_text("torn")
    done = remember(store)
    assert (done.returncode, before(store)) == (0, identity)
    assert f"damaged: {ALIAS}/run-1: " in done.stderr


@pytest.mark.parametrize("what", ["alias", "artifact"])
def test_a_damaged_alias_of_production_is_refused(store: Path, what: str) -> None:
    identity = promote(store, "production")
    alias = store / f"aliases/{ALIAS}/production.json"
    broken = {"alias": alias, "artifact": store / f"artifacts/{identity}/manifest.json"}[what]
    if what == "alias":
        broken.write_text("torn")
    else:
        broken.unlink()
    done = remember(store)
    assert done.returncode == 1
    assert f"damaged: {ALIAS}/production: " in done.stderr
    said = {"alias": "delete it, then promote again", "artifact": "no such artifact"}[what]
    assert said in done.stderr.splitlines()[-1]
    assert before(store) is None


def test_a_store_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    done = remember(tmp_path / "nowhere")
    assert done.returncode == 1
    assert "no such folder" in done.stderr
