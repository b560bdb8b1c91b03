"""What the results of a job are made with. Its hash is in the name of their folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from depth.errors import InputError
from depth.files import sha256_bytes
from depth.fitting.fitter import Fitter, many_of
from depth.fitting.options import fitter_by
from depth.maps.fit import AUTO
from depth.maps.result import FULL
from depth.preprocess import REFERENCE
from depth.presets.files import result_names
from depth.presets.shot import preset_setting
from depth.steps.focal import FocalAsked
from serve.backend import OpenBackend, open_backend
from serve.engine import Engine
from serve.jobs.objects.keys import suffix_of
from serve.jobs.objects.settings import FORMAT
from serve.jobs.preset import check_preset
from serve.library import Library
from serve.shapes import BUCKETS
from serve.sources import library_of

_DIGITS = 12


@dataclass(frozen=True)
class Making:
    """What a user asks of the results. A worker in another process can have a copy.

    artifacts  folders of artifacts, or the store of the artifact `alias`
    kept_in    folder where the artifact of a store is kept; the pull compares every hash
    formats    of depth files, of depth/maps/formats.py
    focal_px, fov_deg   the camera of every image
    fit        what depth is moved onto, as `--fit` takes it: a path on every machine of the job
    fit_by, fit_unit, fit_scale   how; see depth/fitting/options.py
    preset     of depth/presets; "" for none. `formats` may then be empty
    """

    artifacts: tuple[str, ...]
    alias: Optional[str] = None
    endpoint_url: Optional[str] = None
    kept_in: Path = Path("artifacts")
    formats: tuple[str, ...] = ("png",)
    preview: bool = False
    policy: str = BUCKETS
    preprocess: str = REFERENCE
    output_size: str = FULL
    focal_px: Optional[float] = None
    fov_deg: Optional[float] = None
    allow_unverified: bool = False
    fit: Optional[str] = None
    fit_by: str = AUTO
    fit_unit: Optional[str] = None
    fit_scale: Optional[float] = None
    preset: str = ""

    @property
    def focal(self) -> FocalAsked:
        """The camera of every image. Raises InputError for values that no camera has."""
        return FocalAsked(self.focal_px, self.fov_deg)

    def fitter(self) -> Optional[Fitter]:
        """What moves depth onto measured depth. Raises InputError as `fitter_of`."""
        fitter = fitter_by(self.fit, self.fit_by, self.fit_unit, self.fit_scale)
        return None if fitter is None else many_of(fitter)

    def library(self) -> Library:
        """The artifacts, pulled where they come from a store. Raises as `library_of`."""
        if self.alias is None:
            return library_of(self.artifacts, None, self.kept_in, None, self.allow_unverified)
        (store,) = self.artifacts
        endpoint_url = self.endpoint_url if store.startswith("s3://") else None
        return library_of(store, self.alias, self.kept_in, endpoint_url, self.allow_unverified)

    def engine(self, library: Library, backend: OpenBackend = open_backend) -> Engine:
        """An engine over the library. Raises InputError for an unknown value."""
        return Engine(
            library,
            self.policy,
            preprocess=self.preprocess,
            output_size=self.output_size,
            focal=self.focal,
            backend=backend,
        )

    def made(self, library: Library) -> Made:
        """What results of these artifacts have in common.

        Raises InputError for bad formats, and for a preset that the job cannot meet.
        """
        fitter = self.fitter()
        check_preset(self.preset, library, fitter)
        manifest = library.any_artifact().manifest
        maps = tuple(output.name for output in manifest.outputs)
        names = result_names("", self.formats, self.preview, maps, self.preset)
        suffixes = tuple(suffix_of(name, "") for name in names)
        identities = {served.artifact.identity for served in library.single.values()}
        facts = {
            "format": FORMAT,
            "model": manifest.model,
            "target": manifest.target,
            "precision": manifest.precision,
            "artifacts": sorted(identities),
            "formats": sorted(self.formats),
            "preview": self.preview,
            "policy": self.policy,
            "preprocess": self.preprocess,
            "output_size": self.output_size,
            "focal": asdict(self.focal),
            **self._fit_facts(fitter),
            **self._preset_facts(),
        }
        text = json.dumps(facts, indent=2, sort_keys=True) + "\n"
        name = f"{manifest.model}-{manifest.target}-{sha256_bytes(text.encode())[:_DIGITS]}"
        if "/" in name or name.startswith("."):
            raise InputError(f"{name!r}: the artifact's model and target make no name of a folder")
        return Made(name, text.encode(), suffixes)

    def _fit_facts(self, fitter: Optional[Fitter]) -> dict[str, Any]:
        """What a fit adds to the settings: other measured depth makes another folder."""
        if fitter is None:
            return {}
        digest = fitter.reference.digest()
        return {"fit": {"by": self.fit_by, "unit": self.fit_unit, "sha256": digest}}

    def _preset_facts(self) -> dict[str, str]:
        """What a preset adds to the settings: its name, and the camera that its files say."""
        return {"preset": preset_setting(self.preset, self.focal)} if self.preset else {}


@dataclass(frozen=True)
class Made:
    """What results have in common.

    folder    of all of them, in the store of the results
    settings  JSON that says what they are made with
    suffixes  of the files of each result, the .json last
    """

    folder: str
    settings: bytes
    suffixes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The settings, parsed."""
        found: dict[str, Any] = json.loads(self.settings)
        return found
