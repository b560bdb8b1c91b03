"""Real failures, one per state: each is there while the state runs for the first time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from infra.dry_run.flow import CODE, StateError
from infra.dry_run.place import ALIAS, Place

CHECKPOINT = CODE / "checkpoints/demo/demo.safetensors"

# What goes back is tried again; it needs a smoke test that fails before.
BACK = ("Rollback", "DeployBefore")


class FaultError(Exception):
    """A failure could not be provoked; the text is the reason."""


class Fault:
    """What goes wrong in a run: files for the compile job, and what happens before a state."""

    def __init__(self, place: Place, state: str, run: str) -> None:
        self._place, self._state, self._run = place, state, run
        self._tried: set[str] = set()
        self.others: set[str] = set()  # identities that may answer meanwhile

    def files(self, step: str) -> dict[str, bytes]:
        """Files in the folder of a step's job: half a checkpoint, read before the bundled one."""
        if (self._state, step) != ("Compile", "compile"):
            return {}
        data = CHECKPOINT.read_bytes()
        return {"checkpoints/demo.safetensors": data[: len(data) // 2]}

    @contextmanager
    def around(self, state: str) -> Iterator[None]:
        """Whatever makes the state fail happens before it, and is over after it.

        Raises FaultError if that cannot be done: the state was not even tried then.
        """
        with ExitStack() as over:
            try:
                self._provoke(state, over)
            except StateError as error:
                raise FaultError(f"{self._state} cannot be made to fail: {error}") from error
            yield

    def _provoke(self, state: str, over: ExitStack) -> None:
        if state in self._tried:
            return
        self._tried.add(state)
        refused = {"Remember": "before", "Promote": "production", "Rollback": "production"}
        if state == self._state == "Parity":
            self._another(1e-9, f"{ALIAS}/run-{self._run}")
        elif state == self._state and state in ("Deploy", "DeployBefore"):
            over.enter_context(self._damaged())
        elif state == "Deploy" and self._state in ("Smoke", *BACK):
            # Somebody promotes another artifact meanwhile, so this artifact is deployed.
            self.others.add(self._another(1e-3, f"{ALIAS}/production"))
        elif state == self._state and state in refused:
            key = f"aliases/{ALIAS}/{refused[state]}.json"
            over.enter_context(self._place.cloud.refusing("promote", key))

    def _another(self, max_rel: float, alias: str) -> str:
        """Point an alias at the run's artifact with another limit of parity; its identity."""
        place, out = self._place, self._place.folder / f"another-{self._run}"
        folder = Path(
            place.command(
                "read",
                "pull",
                f"{ALIAS}/run-{self._run}",
                "--store",
                place.cloud.store,
                "--out",
                str(out),
            )
        )
        told = json.loads((folder / "manifest.json").read_text())
        told["gate"]["limits"]["depth"]["max_rel"] = max_rel
        for program in told["programs"]:  # a manifest whose figures are over its limit is refused
            program["measured"]["depth"]["max_rel"] = max_rel / 2
        (folder / "manifest.json").write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")
        changed = folder.rename(out / "changed")
        identity = place.command("push", "push", str(changed), "--store", place.cloud.store)
        role = "push" if "/run-" in alias else "promote"
        place.command(role, "promote", identity.split()[0], alias, "--store", place.cloud.store)
        return place.identity(alias)

    @contextmanager
    def _damaged(self) -> Iterator[None]:
        """A byte of production's smallest program file is another one in the store."""
        cloud = self._place.cloud
        identity = self._place.identity(f"{ALIAS}/production")
        told = json.loads(cloud.read(f"artifacts/{identity}/manifest.json"))
        file = min(told["programs"][0]["files"], key=lambda each: each["size_bytes"])
        key = f"objects/{file['sha256']}"
        data = cloud.read(key)
        cloud.write(key, bytes([data[0] ^ 1]) + data[1:])
        try:
            yield
        finally:
            cloud.write(key, data)
