"""The JSON Schema (draft 2020-12) of `scene.json`, for the programs that read it.

Keys that a later version adds are no error.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from depth.maps.schema import schema_named

SCENE = "scene"

_DEFINITIONS = Path(__file__).with_name("schema.json")


def scene_schema() -> dict[str, Any]:
    """The schema with all that it refers to; how depth was made is as in the schema of a result."""
    own: dict[str, Any] = json.loads(_DEFINITIONS.read_text(encoding="utf-8"))
    of_results = schema_named("result")["$defs"]
    shared = {name: of_results[name] for name in ("provenance", "sha256")}
    shared["provenance"]["properties"]["weights_sha256"] = {
        "description": "empty for weights that are in no file",
        "type": "string",
        "pattern": "^([0-9a-f]{64})?$",
    }
    return {
        "$schema": own["$schema"],
        "$ref": f"#/$defs/{SCENE}",
        "$defs": {**own["$defs"], "provenance": shared["provenance"]},
    }
